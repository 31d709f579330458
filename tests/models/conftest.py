"""A small transform graph, a small trained model and its edge variants, each made once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import apache_beam as beam
import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
import tf_keras as keras

from models import tabular as tabular_model
from models import training
from models.heads import Head
from preprocessing import tabular
from preprocessing.features import EncodedFeature, Feature, Features, Label, encoded_features, transformed_name
from preprocessing.labels import transform_label

FEATURES: Features = pydantic.TypeAdapter(dict[str, Feature]).validate_python(
    {
        "amount": {"kind": "numeric", "log": True},
        "payment": {"kind": "categorical"},
        "area": {"kind": "integer_categorical", "num_values": 4},
        "pair": {"kind": "crossed", "of": ["payment", "area"], "num_buckets": 8},
    }
)
LABELS: Mapping[str, Label] = pydantic.TypeAdapter(dict[str, Label]).validate_python(
    {
        "paid": {"kind": "binary", "column": "paid", "positive": "yes"},
        "species": {"kind": "multiclass", "column": "species"},
        "price": {"kind": "regression", "column": "price"},
    }
)
RAW_SPEC = {
    "amount": tf.io.VarLenFeature(tf.float32),
    "payment": tf.io.VarLenFeature(tf.string),
    "area": tf.io.VarLenFeature(tf.int64),
    # Required columns, as a label is in a real schema.
    "paid": tf.io.FixedLenFeature([1], tf.string),
    "species": tf.io.FixedLenFeature([1], tf.string),
    "price": tf.io.FixedLenFeature([1], tf.float32),
}


@dataclass(frozen=True)
class Transformed:
    """A transform graph and what it was made from; `unlabelled` are the examples without the label of that name."""

    transform: tft.TFTransformOutput
    encoded: tuple[EncodedFeature, ...]
    labels: Mapping[str, Label]
    examples: tuple[bytes, ...]
    unlabelled: Mapping[str, tuple[bytes, ...]]


@pytest.fixture(scope="session")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    """Analyze 30 rows."""
    folder = tmp_path_factory.mktemp("transformed")
    rows = [
        {
            "amount": [1.5 * i] if i % 5 else [],
            "payment": [b"cash" if i % 3 else b"card"],
            "area": [i % 6],
            "paid": [b"yes" if i % 2 else b"no"],
            "species": [(b"setosa", b"virginica", b"setosa", b"versicolor", b"setosa", b"virginica")[i % 6]],
            "price": [float(i)],
        }
        for i in range(30)
    ]

    def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = tabular.transform(inputs, FEATURES)
        return outputs | {transformed_name(name): transform_label(inputs[name], label) for name, label in LABELS.items()}

    metadata = tft.DatasetMetadata.from_feature_spec(RAW_SPEC)
    with beam.Pipeline(runner="DirectRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        data = (pipeline | beam.Create(rows, reshuffle=False), metadata)
        transform_fn = data | tft_beam.AnalyzeDataset(preprocessing_fn)
        transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
        metadata | tft_beam.WriteMetadata(str(folder / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR), pipeline)
    transform = tft.TFTransformOutput(str(folder / "graph"))
    return Transformed(
        transform,
        tuple(encoded_features(FEATURES, transform.vocabulary_size_by_name)),
        LABELS,
        tuple(_serialized(row) for row in rows),
        {label: tuple(_serialized({k: x for k, x in row.items() if k != label}) for row in rows) for label in LABELS},
    )


def _serialized(row: Mapping[str, list[Any]]) -> bytes:
    features = {}
    for name, value in row.items():
        if RAW_SPEC[name].dtype == tf.string:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
        elif RAW_SPEC[name].dtype == tf.int64:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@dataclass(frozen=True)
class Trained:
    """A small binary model that has learned its data, and arrays (features, label) to judge it by."""

    model: keras.Model
    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray

    def batches(self) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Return the data in batches of 100, the last one smaller."""
        starts = range(0, len(self.labels), 100)
        return [({name: x[i : i + 100] for name, x in self.inputs.items()}, self.labels[i : i + 100]) for i in starts]


@pytest.fixture(scope="session")
def trained() -> Trained:
    """Train on 450 examples; its kernels are large enough (1024 weights) for TFLite to quantize."""
    random = np.random.default_rng(3)
    inputs = {
        "miles_xf": random.normal(size=(450, 1)).astype(np.float32),
        "hour_xf": random.normal(size=(450, 2)).astype(np.float32),
        "company_xf": random.integers(0, 300, size=(450, 1)).astype(np.int32),
    }
    labels = (inputs["miles_xf"] + inputs["hour_xf"][:, :1] + 0.3 * random.normal(size=(450, 1)) > 0).astype(np.int64)
    features = (
        EncodedFeature("miles_xf", "miles"),
        EncodedFeature("hour_xf", "hour", width=2),
        EncodedFeature("company_xf", "company", num_ids=300),
    )
    keras.utils.set_random_seed(1)
    model = tabular_model.build(
        tabular_model.Config(numeric_units=32, hidden=(64, 32), dropout=0.1), features, Head("binary", 2)
    )
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(50)
    training.fit(model, Head("binary", 2).loss, data, data, training.FitConfig(epochs=6, learning_rate=5e-3))
    return Trained(model, inputs, labels)
