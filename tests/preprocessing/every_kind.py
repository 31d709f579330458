"""One small dataset with every feature kind and every label kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pydantic
import tensorflow as tf
import tensorflow_transform as tft

from preprocessing.features import Feature, Features, Label

Row = Mapping[str, Any]
Output = Mapping[str, np.ndarray]

FEATURES: Features = pydantic.TypeAdapter(dict[str, Feature]).validate_python(
    {
        "fare": {"kind": "numeric", "log": True},
        "latitude": {"kind": "numeric"},
        "odometer": {"kind": "numeric"},
        "year": {"kind": "numeric"},
        "seconds": {"kind": "numeric"},
        "seconds_log": {"kind": "numeric", "column": "seconds", "log": True},
        "constant": {"kind": "numeric"},
        "never": {"kind": "numeric"},
        "never_bucket": {"kind": "bucketized", "column": "never", "num_buckets": 3},
        "never_said": {"kind": "categorical"},
        "fare_bucket": {"kind": "bucketized", "column": "fare", "num_buckets": 4},
        "seconds_bucket": {"kind": "bucketized", "column": "seconds", "num_buckets": 6},
        "constant_bucket": {"kind": "bucketized", "column": "constant", "num_buckets": 3},
        "company": {"kind": "categorical", "min_count": 3},
        "payment": {"kind": "categorical", "num_oov_buckets": 5},
        "code": {"kind": "categorical", "vocabulary_size": 2},
        "zone": {"kind": "categorical"},
        "area": {"kind": "integer_categorical", "num_values": 5},
        "stars": {"kind": "integer_categorical", "num_values": 3},
        "hour": {"kind": "cyclical", "period": "hour"},
        "weekday": {"kind": "cyclical", "period": "weekday"},
        "month": {"kind": "cyclical", "period": "month"},
        "pair": {"kind": "crossed", "of": ["company", "fare_bucket"], "num_buckets": 16},
        "triple": {"kind": "crossed", "of": ["payment", "area", "seconds_bucket"], "num_buckets": 97},
    }
)

LABELS: Mapping[str, Label] = pydantic.TypeAdapter(dict[str, Label]).validate_python(
    {
        "paid": {"kind": "binary", "column": "paid", "positive": 1},
        "answer": {"kind": "binary", "column": "answer", "positive": "yes"},
        "won": {"kind": "binary", "column": "won", "positive": 1},
        "species": {"kind": "multiclass", "column": "species"},
        "grade": {"kind": "multiclass", "column": "grade"},
        "price": {"kind": "regression", "column": "price"},
        "visits": {"kind": "regression", "column": "visits"},
    }
)

RAW_SPEC = {
    "latitude": tf.io.FixedLenFeature([1], tf.float32),  # a required column; all others may be missing
    **{
        name: tf.io.VarLenFeature(tf.float32)
        for name in ("fare", "odometer", "constant", "never", "zone", "stars", "weekday", "won", "price")
    },
    **{
        name: tf.io.VarLenFeature(tf.int64)
        for name in ("seconds", "year", "code", "area", "hour", "month", "paid", "grade", "visits")
    },
    **{name: tf.io.VarLenFeature(tf.string) for name in ("company", "payment", "never_said", "answer", "species")},
}


def training_rows() -> list[Row]:
    """Return 240 rows; each optional value is missing in about one of eight, `never` and `never_said` in all."""
    random = np.random.default_rng(7)
    rows = []
    for i in range(240):
        row = {
            "fare": random.lognormal(2.0, 1.5) * random.choice([-1, 1], p=[0.1, 0.9]),
            "seconds": random.integers(-500, 4000) if i % 3 else 0,
            "odometer": 100_000.0 + random.normal(0.0, 3.0),  # a mean far larger than the deviation
            "year": random.integers(2013, 2016),
            "constant": 2.5,
            "company": random.choice(["Zürich Taxi", "Blue & Co", "Flash"], p=[0.5, 0.3, 0.2]),
            "payment": random.choice(["Cash", "Card", "two\nlines"], p=[0.5, 0.4, 0.1]),
            "code": random.choice([7, 77, 777, 7777], p=[0.1, 0.5, 0.3, 0.1]),
            "zone": random.choice([3.0, 10.0, -2.0], p=[0.5, 0.3, 0.2]),
            "area": random.integers(-1, 7),
            "stars": float(random.integers(0, 4)),
            "hour": random.integers(0, 24),
            "weekday": float(random.integers(0, 7)),
            "month": random.integers(1, 13),
        }
        row = {name: value for name, value in row.items() if random.random() > 0.125}
        row["latitude"] = 41.9 + random.normal(0.0, 0.05)
        row["paid"] = i % 2
        row["answer"] = "yes" if i % 3 else "no"
        row["won"] = float(i % 2)
        row["species"] = ["setosa", "virginica", "setosa", "versicolor", "setosa", "virginica"][i % 6]
        row["grade"] = [5, 1, 5][i % 3]
        row["price"] = i / 4
        row["visits"] = i
        rows.append({name: _plain(value) for name, value in row.items()})
    # Two rows too few for `company`, whose min_count is 3.
    rows[0]["company"] = rows[1]["company"] = "Rare"
    return rows


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Analyzed:
    """What the analysis left, and a way to run its graph."""

    features: Features
    labels: Mapping[str, Label]
    rows: Sequence[Row]
    transform: tft.TFTransformOutput
    apply: Callable[[Sequence[Row]], Output]


def instance_of(row: Row) -> dict[str, Any]:
    values = {name: [row[name]] if name in row else [] for name in RAW_SPEC}
    return {name: [x.encode() if isinstance(x, str) else x for x in value] for name, value in values.items()}


def example_of(row: Row) -> tf.train.Example:
    features = {}
    for name, value in row.items():
        dtype = RAW_SPEC[name].dtype
        if dtype == tf.string:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        elif dtype == tf.int64:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=features))
