"""The dataset with every kind, analyzed once by TensorFlow Transform."""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from every_kind import FEATURES, LABELS, RAW_SPEC, Analyzed, Output, Row, example_of, instance_of, training_rows

from preprocessing import tabular
from preprocessing.features import transformed_name
from preprocessing.labels import transform_label


@pytest.fixture(scope="session")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Analyzed:
    """Analyze `training_rows` with Beam's in-process runner and load the transform graph."""
    folder = tmp_path_factory.mktemp("analyzed")
    rows = training_rows()

    def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = tabular.transform(inputs, FEATURES)
        return outputs | {transformed_name(name): transform_label(inputs[name], label) for name, label in LABELS.items()}

    metadata = tft.DatasetMetadata.from_feature_spec(RAW_SPEC)
    instances = [instance_of(row) for row in rows]
    with beam.Pipeline(runner="DirectRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        data = (pipeline | beam.Create(instances, reshuffle=False), metadata)
        transform_fn = data | tft_beam.AnalyzeDataset(preprocessing_fn)
        transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
        metadata | tft_beam.WriteMetadata(str(folder / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR), pipeline)
    transform = tft.TFTransformOutput(str(folder / "graph"))
    layer = transform.transform_features_layer()

    def apply(raw: Sequence[Row]) -> Output:
        examples = tf.constant([example_of(row).SerializeToString() for row in raw])
        return {name: x.numpy() for name, x in layer(tf.io.parse_example(examples, RAW_SPEC)).items()}

    return Analyzed(FEATURES, LABELS, rows, transform, apply)
