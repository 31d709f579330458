"""The runner of an edge package: its encoding is the transform's, its model input and output are the flatbuffer's."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import apache_beam as beam
import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from models.compression.tflite import EdgeModel
from pipeline.edge_runner import predict
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


def write_package(
    folder: Path,
    features: Sequence[Mapping[str, Any]],
    values: Mapping[str, Sequence[str]] | None = None,
    model: bytes = b"",
    classes: Sequence[str] = (),
    packed: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write what a pushed package holds of this; without a model its description is of one without inputs."""
    (folder / "vocabularies").mkdir(parents=True, exist_ok=True)
    for name, lines in (values or {}).items():
        (folder / vocabulary_file(name)).write_bytes("".join(f"{line}\n" for line in lines).encode())
    described = EdgeModel(model).describe() if model else {"inputs": [], "outputs": [{"shape": [-1, 1]}]}
    for record in described["inputs"] if packed else ():
        record["features"] = [{"name": name, "width": 1} for name in packed[record["name"]]]
    metadata = {**described, "features": features, "label": {"classes": list(classes)}}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "model.tflite").write_bytes(model)
    return folder


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


NO_FLOAT = "Expected a finite 32-bit float, or nothing where it is missing."


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


def flatbuffer(function: Callable[..., tf.Tensor], *specs: tf.TensorSpec, integer: bool = False) -> bytes:
    """Convert a function of named tensors; with `integer`, to one of int8 all through, calibrated on [-1, 1]."""
    concrete = tf.function(lambda **inputs: {"output": function(**inputs)}).get_concrete_function(**{s.name: s for s in specs})
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    if integer:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        examples = [{spec.name: np.full((1, spec.shape[1]), x, np.float32) for spec in specs} for x in (-1, 1)]
        converter.representative_dataset = lambda: iter(examples)
    return converter.convert()


def number_features(*names: str) -> list[dict[str, Any]]:
    """Numbers as they are: "a" becomes "a_xf" and "a_xf_missing"."""
    unit = {"kind": "numeric", "log": False, "mean": 0.0, "std": 1.0}
    return [{"feature": name, "inputs": [f"{name}_xf", f"{name}_xf_missing"], "column": name, **unit} for name in names]


def id_features(*names: str, num_values: int = 9) -> list[dict[str, Any]]:
    """Ids as they are, plus 1: "a" becomes "a_xf"."""
    own = {"kind": "integer_categorical", "num_values": num_values}
    return [{"feature": name, "inputs": [f"{name}_xf"], "column": name, **own} for name in names]


@pytest.fixture
def packed_package(tmp_path: Path) -> Path:
    """A model of two packed inputs whose output spells them: 1000 * b + 100 * a + 10 * (d's id) + (c's id)."""
    model = flatbuffer(
        lambda numbers, ids: (
            tf.reduce_sum(numbers * [[1000.0, 100.0, 1e6]], 1, keepdims=True)
            + tf.reduce_sum(tf.cast(ids, tf.float32) * [[10.0, 1.0]], 1, keepdims=True)
        ),
        tf.TensorSpec([None, 3], tf.float32, "numbers"),
        tf.TensorSpec([None, 2], tf.int32, "ids"),
    )
    packed = {"numbers": ["b_xf", "a_xf", "a_xf_missing"], "ids": ["d_xf", "c_xf"]}
    features = [*number_features("a", "b"), *id_features("c", "d")]
    return write_package(tmp_path / "package", features, model=model, packed=packed)


def test_packed_inputs_are_joined_in_the_order_of_the_metadata(packed_package):
    scores = Predictor(packed_package).predict({"a": [3, None], "b": [2, 5], "c": [6, 0], "d": ["4", ""]})
    assert scores.tolist() == [[2357.0], [1005001.0]]
    assert scores.dtype == np.float32


def test_rows_beyond_a_batch_are_scored_as_if_alone(packed_package):
    predictor = Predictor(packed_package)
    columns = {name: [i % 9 for i in range(3, 3 + 2 * predict.MAX_BATCH + 5)] for name in "abcd"}
    together = predictor.predict(columns)
    assert together.shape == (2 * predict.MAX_BATCH + 5, 1)
    for i in (0, 1, predict.MAX_BATCH - 1, predict.MAX_BATCH, len(together) - 1):
        alone = predictor.predict({name: values[i : i + 1] for name, values in columns.items()})
        assert alone == together[i]
    assert predictor.predict({name: [] for name in "abcd"}).shape == (0, 1)


@pytest.mark.parametrize("batch", [1, 4])
def test_model_of_a_fixed_batch_is_called_as_often_as_needed(tmp_path, batch):
    model = flatbuffer(lambda a_xf: tf.concat([a_xf * 2, a_xf + 1], 1), tf.TensorSpec([batch, 1], tf.float32, "a_xf"))
    predictor = Predictor(write_package(tmp_path, number_features("a"), model=model))
    assert predictor.predict({"a": range(6)}).tolist() == [[2.0 * i, i + 1.0] for i in range(6)]


def test_integer_inputs_and_outputs_are_converted_by_their_scale(tmp_path):
    spec = tf.TensorSpec([None, 1], tf.float32, "a_xf")
    package = write_package(tmp_path, number_features("a"), model=flatbuffer(lambda a_xf: 0.5 * a_xf, spec, integer=True))
    described = json.loads((package / "metadata.json").read_text())
    assert [described[key][0]["dtype"] for key in ("inputs", "outputs")] == ["int8", "int8"]
    values = np.array([-1.1, -0.3, 0.0, 0.77, 1.1], np.float32)
    scores = Predictor(package).predict({"a": [*values, -50.0, 50.0]})
    assert (scores[5], scores[6]) == (scores[0], scores[4])  # saturated, not wrapped around
    np.testing.assert_allclose(scores[1:4, 0], values[1:4] / 2, atol=1.5 * described["outputs"][0]["scale"])
    edge = EdgeModel((package / "model.tflite").read_bytes())
    np.testing.assert_array_equal(scores[:5], edge.predict({"a_xf": values[:, None]}))


@pytest.mark.parametrize(
    ("classes", "units", "names"),
    [
        (["no", "yes"], 1, ["yes"]),
        (["no", "yes"], 2, ["no", "yes"]),
        (["a", "b", "c"], 3, ["a", "b", "c"]),
        ([], 1, ["prediction"]),
    ],
)
def test_scores_are_named(tmp_path, classes, units, names):
    model = flatbuffer(lambda a_xf: tf.tile(a_xf, [1, units]), tf.TensorSpec([None, 1], tf.float32, "a_xf"))
    assert Predictor(write_package(tmp_path, number_features("a"), model=model, classes=classes)).names == names


def test_absence_of_a_runtime_is_said(packed_package, monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(predict.importlib, "import_module", missing)
    predictor = Predictor(packed_package)
    assert predictor.encode({"a": [1], "b": [1], "c": [1], "d": [1]})["c_xf"].tolist() == [[2]]
    with pytest.raises(ImportError) as caught:
        predictor.predict({"a": [1], "b": [1], "c": [1], "d": [1]})
    assert str(caught.value) == (
        "No LiteRT runtime: No module named 'ai_edge_litert.interpreter'; No module named 'tflite_runtime.interpreter'; "
        "No module named 'tensorflow'. Run `pip install ai-edge-litert`."
    )


@pytest.fixture
def run(packed_package, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the package's own predict.py: exit code, what it printed, what it complained of."""
    script = shutil.copy(predict.__file__, packed_package)
    spec = importlib.util.spec_from_file_location("predict_of_the_package", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = module.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


ROWS = 'c,a,ignored,b,d\n6,3,x,2,4\n\n0,,"x, y",5,\n'


def test_command_scores_csv_json_lines_and_stdin_alike(run, tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("\ufeff" + ROWS)
    (tmp_path / "rows.jsonl").write_text('{"a": 3, "b": 2, "c": 6, "d": 4, "ignored": "x"}\n\n{"b": 5, "c": 0, "a": null}\n')
    expected = "prediction\n2357.0\n1005001.0\n"
    assert run(tmp_path / "rows.csv")[:2] == (0, expected)
    assert run(tmp_path / "rows.jsonl")[:2] == (0, expected)
    with open(tmp_path / "rows.csv") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run("-", "--limit", 1)[:2] == (0, "prediction\n2357.0\n")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,b,c,D\n1,2,3,4\n", "No column ['d']. Expected {all}, received ['D', 'a', 'b', 'c']. Add it, even if empty."),
        ("a,b,c,d\n1,2,3,4\n1,2,3\n", "{path} line 3 has another number of cells than the header. Quote commas."),
        ("a,b,c,d\n1,2,3,4,5\n", "{path} line 2 has another number of cells than the header. Quote commas."),
        ("a,b,c,d\n1,2,three,4\n", f"Column 'c' holds 'three'. {NO_FLOAT}"),
    ],
)
def test_command_names_what_is_wrong_with_the_rows(run, tmp_path, rows, message):
    path = tmp_path / "rows.csv"
    path.write_text(rows)
    code, _, complaint = run(path)
    assert (code, complaint) == (1, f"predict.py: {message.format(path=path, all=list('abcd'))}\n")


def test_check_finds_missing_and_changed_files(run, packed_package):
    names = ["metadata.json", "model.tflite", "predict.py"]
    digests = [hashlib.sha256((packed_package / name).read_bytes()).hexdigest() for name in names]
    (packed_package / "SHA256SUMS").write_text("".join(f"{d}  {name}\n" for d, name in zip(digests, names, strict=True)))
    assert run("--check") == (0, "3 files are as SHA256SUMS lists them\n", "")
    (packed_package / "model.tflite").write_bytes(b"changed")
    (packed_package / "metadata.json").unlink()
    assert run("--check") == (
        1,
        "",
        "predict.py: Missing or changed: ['metadata.json', 'model.tflite']. Expected what SHA256SUMS lists. "
        "Copy the package again.\n",
    )


def test_runner_imports_nothing_but_numpy_and_the_standard_library():
    """What predict.py imports at its top is all that has to be there; the runtime is looked for when it is needed."""
    nodes = ast.walk(ast.parse(Path(predict.__file__).read_text()))
    imported = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imported if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy"}
