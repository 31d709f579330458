"""The runner of an edge package encodes rows as the transform does, and refuses what it cannot encode."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from edge_packages import NO_FLOAT, id_features, write_package

from pipeline.edge_runner.predict import Predictor, Vocabulary
from preprocessing import ops, tabular
from preprocessing.description import describe, vocabularies, vocabulary_file
from preprocessing.features import Feature, Features

FEATURES: Features = pydantic.TypeAdapter(dict[str, Feature]).validate_python(
    {
        "pair": {"kind": "crossed", "of": ["company", "fare_bucket"], "num_buckets": 16},
        "fare": {"kind": "numeric", "log": True},
        "seconds": {"kind": "numeric"},
        "fare_bucket": {"kind": "bucketized", "column": "fare", "num_buckets": 4},
        "seconds_bucket": {"kind": "bucketized", "column": "seconds", "num_buckets": 6},
        "company": {"kind": "categorical", "min_count": 3},
        "payment": {"kind": "categorical", "num_oov_buckets": 5},
        "code": {"kind": "categorical", "vocabulary_size": 2},
        "zone": {"kind": "categorical"},
        "never": {"kind": "categorical"},
        "area": {"kind": "integer_categorical", "num_values": 5},
        "stars": {"kind": "integer_categorical", "num_values": 3},
        "hour": {"kind": "cyclical", "period": "hour"},
        "weekday": {"kind": "cyclical", "period": "weekday"},
        "triple": {"kind": "crossed", "of": ["payment", "area", "seconds_bucket"], "num_buckets": 97},
    }
)

TYPES = {
    **dict.fromkeys(("fare", "zone", "stars", "weekday"), tf.float32),
    **dict.fromkeys(("seconds", "code", "area", "hour"), tf.int64),
    **dict.fromkeys(("company", "payment", "never"), tf.string),
}

SPEC = {name: tf.io.VarLenFeature(dtype) for name, dtype in TYPES.items()}

Row = Mapping[str, Any]


class Graph:
    """A transform analyzed on 160 rows, one in eight values missing, and the package folder that describes it."""

    def __init__(self, folder: Path):
        self.rows = _training_rows()
        self.folder = folder / "package"
        metadata = tft.DatasetMetadata.from_feature_spec(SPEC)
        raw = [{name: [row[name]] if name in row else [] for name in TYPES} for row in self.rows]
        with beam.Pipeline(runner="DirectRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
            data = (pipeline | beam.Create(raw, reshuffle=False), metadata)
            transform_fn = data | tft_beam.AnalyzeDataset(lambda inputs: tabular.transform(inputs, FEATURES))
            transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
            metadata | tft_beam.WriteMetadata(str(folder / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR), pipeline)
        transform = tft.TFTransformOutput(str(folder / "graph"))
        self._layer = transform.transform_features_layer()
        write_package(self.folder, describe(FEATURES, transform), vocabularies(FEATURES, transform))

    def apply(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Return what the transform makes of rows."""
        raw = {}
        for name, dtype in TYPES.items():
            present = [i for i, row in enumerate(rows) if name in row]
            values = tf.constant([rows[i][name] for i in present], dtype)
            raw[name] = tf.SparseTensor(np.array([(i, 0) for i in present], np.int64).reshape(-1, 2), values, [len(rows), 1])
        return {name: x.numpy() for name, x in self._layer(raw).items()}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph(tmp_path_factory.mktemp("graph"))


def _training_rows() -> list[Row]:
    random = np.random.default_rng(7)
    rows = []
    for i in range(160):
        row = {
            "fare": float(random.lognormal(2.0, 1.5) * random.choice([-1, 1], p=[0.1, 0.9])),
            "seconds": int(random.integers(-500, 4000)),
            "company": str(random.choice(["Zürich Taxi", "Blue\u2028& Co", 'Flash "1", Inc', "007"])),
            "payment": str(random.choice(["Cash", "Card"])),
            "code": int(random.choice([7, 77, 777, 2**40 + 1], p=[0.1, 0.5, 0.2, 0.2])),
            "zone": float(random.choice([3.0, 10.0, -2.0, 0.1])),
            "area": int(random.integers(-1, 7)),
            "stars": float(random.integers(0, 4)),
            "hour": int(random.integers(0, 24)),
            "weekday": float(random.integers(0, 7)),
        }
        rows.append({name: value for name, value in row.items() if (i + len(name)) % 8})
    return rows


def columns_of(rows: Sequence[Row], cell: Callable[[Any], Any] = lambda value: value) -> dict[str, list[Any]]:
    return {name: [cell(row.get(name)) for row in rows] for name in TYPES}


def assert_encoded_as_transformed(graph: Graph, rows: Sequence[Row], cell: Callable[[Any], Any] = lambda value: value) -> None:
    expected, encoded = graph.apply(rows), Predictor(graph.folder).encode(columns_of(rows, cell))
    assert sorted(encoded) == sorted(expected)
    for name, x in expected.items():
        assert encoded[name].dtype == x.dtype, name
        tolerance = 0 if x.dtype == np.int64 else 1e-5
        np.testing.assert_allclose(encoded[name], x, rtol=tolerance, atol=tolerance, err_msg=name)


def test_encoding_is_the_transform_on_training_rows(graph):
    assert_encoded_as_transformed(graph, graph.rows)


def test_encoding_of_text_cells_is_the_transform_of_their_values(graph):
    """The float 3.0 is the category "3" however a file writes it; the text "007" is not the number 7."""
    assert_encoded_as_transformed(graph, graph.rows, lambda value: "" if value is None else str(value))


def test_encoding_is_the_transform_on_missing_and_unseen_values(graph):
    rows: list[Row] = [{}]
    rows += [{"company": x} for x in ("Nobody", "7", "7.0", "nan", "Zürich Taxi ")] + [{"never": "said"}]
    rows += [{"code": x} for x in (77, 5, -1, 2**40 + 1)] + [{"zone": x} for x in (99.0, 3.5, 0.1, 1e30, math.nan)]
    rows += [{"area": x} for x in (-1, 0, 4, 5, 10**12)] + [{"stars": x} for x in (-0.5, -0.0, 2.5, 3.0, 1e30, math.nan)]
    rows += [{"hour": 24}, {"hour": -5}, {"weekday": 6.5}, {"weekday": math.nan}]
    rows += [{"fare": x} for x in (0.0, -0.01, 1e6, -1e6, 3e38, math.nan)] + [{"seconds": x} for x in (0, -(10**9), 10**9)]
    records = {record["feature"]: record for record in json.loads((graph.folder / "metadata.json").read_text())["features"]}
    edges = [np.float32(edge) for edge in records["fare_bucket"]["boundaries"]]
    rows += [{"fare": float(np.nextafter(edge, np.float32(side)))} for edge in edges for side in (-np.inf, edge, np.inf)]
    assert len(edges) == 3
    assert_encoded_as_transformed(graph, rows)


def test_numpy_columns_are_encoded_as_lists_are(graph):
    rows = [row for row in graph.rows if len(row) == len(graph.rows[0]) and set(row) == set(graph.rows[0])]
    arrays = {name: np.array([row.get(name, "") for row in rows]) for name in TYPES}
    expected, encoded = Predictor(graph.folder).encode(columns_of(rows)), Predictor(graph.folder).encode(arrays)
    assert len(rows) > 5
    for name, x in expected.items():
        np.testing.assert_array_equal(encoded[name], x, err_msg=name)


def test_unknown_value_that_has_to_be_hashed_is_an_error(graph):
    with pytest.raises(ValueError) as caught:
        Predictor(graph.folder).encode(columns_of([{"payment": "Cash"}, {"payment": "Shell"}]))
    assert str(caught.value) == (
        "Column 'payment' holds 'Shell', unknown to vocabularies/payment.txt. Expected a known value: there is no farmhash "
        "here to choose from several ids. Add it, or train with `num_oov_buckets: 1`."
    )


def test_numbers_are_looked_up_as_the_transform_spells_them(tmp_path):
    numbers = np.array([3, -0.0, 0.5, 0.1, 1234567.5, 1e-7, 2.0**40, 1e30, -12.25], np.float32)
    spelled = [text.decode() for text in ops.as_text(tf.constant(numbers)).numpy()[:, 0]]
    write_package(tmp_path, [], {"zone": spelled})
    record = {"vocabulary": vocabulary_file("zone"), "vocabulary_size": 9, "num_oov_buckets": 1, "column_type": "number"}
    vocabulary = Vocabulary(tmp_path, record)
    assert vocabulary.ids(numbers.tolist())[:, 0].tolist() == list(range(1, 10))
    assert vocabulary.ids([str(x) for x in numbers])[:, 0].tolist() == list(range(1, 10))
    assert vocabulary.ids([None, "", "nan", math.nan, "4", 2**40, " 3"])[:, 0].tolist() == [0, 0, 0, 0, 10, 7, 1]


def test_crossed_ids_wrap_around_as_tensorflow_does(tmp_path):
    features = id_features("a", "b", "c", num_values=2**62)
    cross = {"feature": "x", "kind": "crossed", "inputs": ["x"], "of": ["a_xf", "b_xf", "c_xf"], "num_buckets": 1000}
    random = np.random.default_rng(1)
    columns = {name: (2.0 ** random.uniform(0, 61, size=300)).astype(np.int64) for name in "abc"}
    encoded = Predictor(write_package(tmp_path, [cross, *features])).encode(columns)
    ids = [encoded[f"{name}_xf"] for name in "abc"]
    np.testing.assert_array_equal(encoded["x"], ops.cross_ids([tf.constant(x) for x in ids], 1000).numpy())
    assert encoded["x"].dtype == np.int64
    unbounded = [((a * 1_000_003 + b) * 1_000_003 + c) % 1000 for a, b, c in np.hstack(ids).tolist()]
    assert np.mean(encoded["x"][:, 0] != unbounded) > 0.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"b": [1]}, "No column ['a']. Expected ['a', 'b'], received ['b']. Add it, even if empty."),
        (
            {"a": [1], "b": [1, 2]},
            "Columns differ in length: {'a': 1, 'b': 2}. Give one value a row, None where it is missing.",
        ),
        ({"a": ["1", "n/a"], "b": [1, 2]}, f"Column 'a' holds 'n/a'. {NO_FLOAT}"),
        ({"a": [1, 2], "b": [None, "1e39"]}, f"Column 'b' holds '1e39'. {NO_FLOAT}"),
        ({"a": [10**400], "b": [0]}, f"Column 'a' holds {10**400}. {NO_FLOAT}"),
        ({"a": ["-inf"], "b": [""]}, f"Column 'a' holds '-inf'. {NO_FLOAT}"),
    ],
)
def test_unusable_columns_are_refused(tmp_path, columns, message):
    features = [
        {"feature": name, "kind": "cyclical", "inputs": [f"{name}_xf"], "column": name, "period": 24} for name in ("a", "b")
    ]
    with pytest.raises(ValueError) as caught:
        Predictor(write_package(tmp_path, features)).encode(columns)
    assert str(caught.value) == message


def test_kind_without_a_rule_is_refused(tmp_path):
    features = [{"feature": "photo", "kind": "image", "inputs": ["photo_xf"], "column": "photo"}]
    with pytest.raises(ValueError) as caught:
        Predictor(write_package(tmp_path, features)).encode({"photo": [0]})
    assert str(caught.value) == (
        "Feature 'photo' is 'image'. Expected one of: numeric, bucketized, categorical, integer_categorical, cyclical, "
        "crossed. Encode it yourself."
    )
