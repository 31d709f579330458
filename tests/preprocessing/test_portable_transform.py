"""The transform graph on dense columns and builtin operators, against the transform graph itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from preprocessing import ops
from preprocessing.description import describe
from preprocessing.features import EncodedFeature, encoded_features
from preprocessing.portable import NotPortable, PortableTransform
from preprocessing.portable_ops import REPLACED, Positions, Text, UnsupportedError, Values, missing_marker

HASHED = ("payment", "triple")  # five out-of-vocabulary buckets


@pytest.fixture(scope="module")
def encoded(analyzed) -> list[EncodedFeature]:
    listed = encoded_features(analyzed.features, analyzed.transform.vocabulary_size_by_name)
    return [feature for feature in listed if feature.feature not in HASHED]


@pytest.fixture(scope="module")
def portable(analyzed, encoded) -> PortableTransform:
    return PortableTransform(analyzed.transform, {feature.name: feature.feature for feature in encoded})


@pytest.fixture(scope="module")
def flatbuffer(portable, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The transform alone as a `.tflite`, in float32."""
    module = tf.Module()
    module.portable = portable
    function = tf.function(lambda **raw: portable(raw), autograph=False)
    folder = str(tmp_path_factory.mktemp("portable"))
    tf.saved_model.save(module, folder, signatures=function.get_concrete_function(**portable.input_specs))
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter.convert()


@pytest.fixture(scope="module")
def unseen(analyzed) -> list[dict[str, Any]]:
    """Everything missing, and values that training never saw, one at a time."""
    rows: list[dict[str, Any]] = [{}]
    rows += [{"company": value} for value in ("Nobody", "Rare", "flash", "", "Zürich Taxi ", "Zürich Taxi")]
    rows += [{"code": value} for value in (77, 777, 7, 5, -1, 2**40, -(2**63) + 1)]
    rows += [{"zone": value} for value in (3.0, 10.0, -2.0, 99.0, 3.5, -0.0, 1e30, math.inf, math.nan)]
    rows += [{"area": value} for value in (-1, 0, 4, 5, 10**12)]
    rows += [{"stars": value} for value in (-0.5, 2.0, 2.5, 3.0, 1e30, math.nan)]
    rows += [{"hour": value} for value in (0, 6, 23, 24, -5)] + [{"month": value} for value in (1, 12, 13)]
    rows += [{"weekday": value} for value in (0.0, 6.5, math.nan)]
    rows += [{"fare": value} for value in (0.0, -0.01, 1e6, -1e6, 3e38, math.nan)]
    rows += [{"seconds": value} for value in (0, -(10**9), 10**9)]
    rows += [{"odometer": value} for value in (100_001.5, 99_990.0, 0.0)] + [{"year": value} for value in (2016, 1970)]
    rows += [{"constant": value} for value in (2.5, 2.4999998, -7.0)]
    rows += [{"never": value} for value in (0.0, -3.0, 1e6)] + [{"never_said": "something"}]
    edges = {rule["feature"]: rule.get("boundaries") for rule in describe(analyzed.features, analyzed.transform)}
    fares = [np.float32(edge) for edge in edges["fare_bucket"]]
    rows += [{"fare": float(np.nextafter(edge, np.float32(side)))} for edge in fares for side in (-np.inf, edge, np.inf)]
    rows += [{"seconds": int(edge) + step} for edge in edges["seconds_bucket"] for step in (-1, 0, 1)]
    return [{"latitude": 41.9} | row for row in rows]


def dense(specs: Mapping[str, tf.TensorSpec], rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return the raw columns of rows, with the markers of missing values."""
    columns = {}
    for name, spec in specs.items():
        values = [row.get(name, missing_marker(spec.dtype)) for row in rows]
        values = [value.encode() if isinstance(value, str) else value for value in values]
        columns[name] = np.array(values, dtype=spec.dtype.as_numpy_dtype).reshape(-1, 1)
    return columns


def assert_same(encoded: Sequence[EncodedFeature], outputs: Mapping[str, Any], expected: Mapping[str, np.ndarray]) -> None:
    assert sorted(outputs) == sorted(feature.name for feature in encoded)
    for feature in encoded:
        output = np.asarray(outputs[feature.name])
        assert (output.dtype, output.shape) == (expected[feature.name].dtype, expected[feature.name].shape), feature.name
        if feature.num_ids:
            np.testing.assert_array_equal(output, expected[feature.name], err_msg=feature.name)
        else:
            np.testing.assert_allclose(output, expected[feature.name], rtol=1e-6, atol=1e-6, err_msg=feature.name)


@pytest.mark.parametrize("traced", [False, True])
def test_portable_transform_gives_what_the_transform_gives(analyzed, portable, encoded, unseen, traced: bool):
    call = tf.function(portable, autograph=False) if traced else portable
    for rows in (analyzed.rows, unseen):
        assert_same(encoded, call(dense(portable.input_specs, rows)), analyzed.apply(rows))


def test_flatbuffer_gives_what_the_transform_gives_with_builtin_operators(analyzed, portable, encoded, unseen, flatbuffer):
    interpreter = tf.lite.Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    run = interpreter.get_signature_runner()
    for rows in (analyzed.rows[:1], analyzed.rows, unseen, unseen[:1]):
        assert_same(encoded, run(**dense(portable.input_specs, rows)), analyzed.apply(rows))


def test_flatbuffer_spends_no_operators_on_shapes(flatbuffer):
    names = {operator["op_name"] for operator in tf.lite.Interpreter(model_content=flatbuffer)._get_ops_details()}
    assert {"BUCKETIZE", "HASHTABLE_FIND", "SELECT_V2"} <= names
    assert not names & {"SHAPE", "STRIDED_SLICE", "PACK", "FILL", "ZEROS_LIKE", "WHERE", "GATHER_ND", "BROADCAST_TO"}


def test_only_the_columns_that_the_outputs_depend_on_are_inputs(analyzed):
    of_a_cross = PortableTransform(analyzed.transform, {"pair_xf": "pair"})
    assert of_a_cross.input_specs == {
        "company": tf.TensorSpec([None, 1], tf.string),
        "fare": tf.TensorSpec([None, 1], tf.float32),
    }
    required = PortableTransform(analyzed.transform, {"latitude_xf": "latitude", "year_xf_missing": "year"})
    assert required.input_specs == {
        "latitude": tf.TensorSpec([None, 1], tf.float32),
        "year": tf.TensorSpec([None, 1], tf.int64),
    }


def test_missing_values_have_their_own_id_or_flag(analyzed, portable):
    row = portable(dense(portable.input_specs, [{"latitude": 41.9}]))
    assert {name: row[name].numpy().tolist() for name in ("company_xf", "code_xf", "area_xf", "fare_bucket_xf")} == {
        "company_xf": [[0]],
        "code_xf": [[0]],
        "area_xf": [[0]],
        "fare_bucket_xf": [[0]],
    }
    assert row["seconds_xf"].numpy().tolist() == [[0.0]]
    assert row["seconds_xf_missing"].numpy().tolist() == [[1.0]]
    assert row["hour_xf"].numpy().tolist() == [[0.0, 0.0]]


def test_markers_of_missing_values():
    assert math.isnan(missing_marker(tf.float32))
    assert missing_marker(tf.int64) == -9223372036854775808
    assert missing_marker(tf.string) == b""


def test_saved_module_serves_after_loading(analyzed, portable, encoded, tmp_path):
    module = tf.Module()
    module.portable = portable
    function = tf.function(lambda **raw: portable(raw), autograph=False)
    tf.saved_model.save(module, str(tmp_path), signatures=function.get_concrete_function(**portable.input_specs))
    assert list((tmp_path / "assets").iterdir()) == []  # vocabularies are constants, no files
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    rows = analyzed.rows[:50]
    raw = {name: tf.constant(x) for name, x in dense(portable.input_specs, rows).items()}
    assert_same(encoded, served(**raw), analyzed.apply(rows))


def test_hashed_values_are_not_portable(analyzed):
    with pytest.raises(NotPortable) as caught:
        PortableTransform(analyzed.transform, {"fare_xf": "fare", "payment_xf": "payment"})
    assert str(caught.value) == (
        "Feature 'payment': num_oov_buckets=5 needs string hashing, which TFLite lacks. "
        "Set num_oov_buckets: 1, or use no recipe with `inputs: raw`."
    )


def test_all_features_with_a_problem_are_named_together(analyzed):
    names = ("triple", "fare", "payment")
    with pytest.raises(NotPortable, match=r"^Features 'triple', 'payment': num_oov_buckets=5 needs string hashing"):
        PortableTransform(analyzed.transform, {f"{name}_xf": name for name in names})


def test_unknown_output_is_an_error(analyzed):
    with pytest.raises(ValueError) as caught:
        PortableTransform(analyzed.transform, {"fare_xf": "fare", "fair_xf": "fair"})
    assert str(caught.value).startswith(
        "The transform graph has no outputs ['fair_xf']. Expected some of: ['answer_xf', 'area_xf',"
    )


def test_absent_column_is_an_error(analyzed):
    transform = PortableTransform(analyzed.transform, {"pair_xf": "pair"})
    with pytest.raises(ValueError) as caught:
        transform({"fare": tf.constant([[1.0]])})
    assert str(caught.value) == "The raw columns ['company'] are absent. Expected: ['company', 'fare']."


@pytest.fixture(scope="module")
def unusual(tmp_path_factory: pytest.TempPathFactory) -> tft.TFTransformOutput:
    """A graph that no feature kind of ours leaves: what a user's own transform may hold."""
    folder = tmp_path_factory.mktemp("unusual")
    spec = {
        "word": tf.io.VarLenFeature(tf.string),
        "number": tf.io.VarLenFeature(tf.float32),
        "pixels": tf.io.FixedLenFeature([3], tf.float32),
    }

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        word, number = ops.as_text(inputs["word"]), ops.as_float(inputs["number"])
        flat = tf.reshape(number, [1, -1])
        boundaries = tf.constant([[1.0, 2.0, 2.0]])
        filled = tf.sparse.to_dense(inputs["word"], default_value="none")
        return {
            "lower": tft.apply_vocabulary(tf.strings.lower(word), tft.vocabulary(word, vocab_filename="words")),
            "filled": tf.cast(tf.equal(tf.reshape(filled, [-1, 1]), "none"), tf.int64),
            "chosen": tf.cast(tf.equal(tf.where(number > 1.0, word, "low"), "low"), tf.int64),
            "text": ops.as_text(inputs["number"]),
            "pixel": inputs["pixels"][:, :1],
            "number_of_values": tf.cast(tf.fill([tf.shape(number)[0], 1], tf.size(inputs["word"].values)), tf.int64),
            "total": tf.fill([tf.shape(number)[0], 1], tf.reduce_sum(inputs["number"].values)),
            "left": tf.reshape(tf.searchsorted(boundaries, flat, side="left", out_type=tf.int64), [-1, 1]),
            "right": tf.reshape(tf.searchsorted(boundaries, flat, side="right", out_type=tf.int64), [-1, 1]),
            "different": tf.cast(tf.not_equal(ops.as_text(inputs["number"]), "2.5"), tf.int64),
            "filled_number": tf.reshape(tf.sparse.to_dense(inputs["number"], default_value=-1.0), [-1, 1]),
            "sum": tf.concat([tf.zeros_like(number), number], axis=1),
        }

    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    with beam.Pipeline(runner="DirectRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        rows = [{"word": [b"a"], "number": [1.0], "pixels": [0.0, 1.0, 2.0]}, {"word": [], "number": [], "pixels": [1.0] * 3}]
        data = (pipeline | beam.Create(rows, reshuffle=False), metadata)
        data | tft_beam.AnalyzeDataset(preprocessing_fn) | tft_beam.WriteTransformFn(str(folder / "graph"))
        metadata | tft_beam.WriteMetadata(str(folder / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR), pipeline)
    return tft.TFTransformOutput(str(folder / "graph"))


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("lower", "it needs the operation StringLower, which TFLite lacks. Use no recipe with `inputs: raw`."),
        ("filled", "it fills missing text with b'none', and TFLite cannot choose text. Fill with ''."),
        ("chosen", "it chooses between strings, and TFLite can only compare them. Use no recipe with `inputs: raw`."),
        ("text", "it is text, which TFLite cannot write. Use no recipe with `inputs: raw`."),
        ("pixel", "column 'pixels' has shape (None, 3), expected (batch, 1). Use no recipe with `inputs: raw`."),
        ("total", "it applies Sum to text, or to a column without its gaps. Use no recipe with `inputs: raw`."),
        ("number_of_values", "it needs the operation Size, which TFLite lacks. Use no recipe with `inputs: raw`."),
    ],
)
def test_what_cannot_be_expressed_is_named_with_its_cure(unusual, output: str, problem: str):
    with pytest.raises(NotPortable) as caught:
        PortableTransform(unusual, {output: "mine"})
    assert str(caught.value) == f"Feature 'mine': {problem}"


def test_bounds_count_boundaries_below_a_value(unusual):
    outputs = PortableTransform(unusual, {"left": "left", "right": "right"})(
        {"number": tf.constant([[0.0], [1.0], [2.0], [9.0]])}
    )
    assert outputs["left"].numpy().tolist() == [[0], [0], [1], [3]]
    assert outputs["right"].numpy().tolist() == [[0], [1], [3], [3]]


def test_defaults_and_comparisons_of_a_users_own_graph_are_kept(unusual):
    transform = PortableTransform(unusual, dict.fromkeys(("different", "filled_number", "sum"), "mine"))
    outputs = transform({"number": tf.constant([[2.5], [2.0], [math.nan]])})
    assert outputs["different"].numpy().tolist() == [[0], [1], [1]]
    assert outputs["filled_number"].numpy().tolist() == [[2.5], [2.0], [-1.0]]
    np.testing.assert_array_equal(outputs["sum"], [[0.0, 2.5], [0.0, 2.0], [0.0, math.nan]])


def test_numbers_written_as_text_match_only_the_spelling_of_a_number():
    style = {"precision": -1, "scientific": False, "shortest": False, "width": -1, "fill": ""}
    ids = {b"7": 0, b"07": 1, b"+8": 2, b"eight": 3, b"-9": 4, b"9223372036854775808": 5, b"1_0": 6}
    numbers = tf.constant([[7], [8], [-9], [10], [-(2**63)]], tf.int64)
    assert Text.spelled(numbers, style).find(ids, -1).numpy().tolist() == [[0], [-1], [4], [-1], [-1]]
    shortest = style | {"shortest": True}
    ids = {b"2.5": 0, b"2.50": 1, b"1e+30": 2, b"inf": 3, b"nan": 4, b"3": 5, b"3.0": 6, b"0.1": 7}
    numbers = tf.constant([[2.5], [1e30], [math.inf], [math.nan], [3.0], [0.1]])
    assert Text.spelled(numbers, shortest).find(ids, -1).numpy().tolist() == [[0], [2], [3], [-1], [5], [7]]
    assert Text.spelled(numbers, shortest).find({b"word": 0}, -1).numpy() == -1


@pytest.mark.parametrize(
    ("operation", "inputs", "problem"),
    [
        (
            "SparseToDense",
            [np.zeros((1, 2), np.int64), np.ones(2, np.int64), np.ones(1), np.array(0.0)],
            "it makes a dense tensor of something other than a raw column. Use no recipe with `inputs: raw`.",
        ),
        (
            "Equal",
            [Text.everywhere(b"3"), np.array([[b"3", b"4"]], object)],
            "it compares numbers written as text with more than one string. Use no recipe with `inputs: raw`.",
        ),
        (
            "Reshape",
            [Positions(None), np.array([-1])],
            "it changes the shape of what has none on a device. Use no recipe with `inputs: raw`.",
        ),
        (
            "UpperBound",
            [np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32)],
            "its bucket boundaries are no list of float32 constants. Use no recipe with `inputs: raw`.",
        ),
        (
            "LookupTableFindV2",
            [SimpleNamespace(ids={b"a": 0}), Text.everywhere(b"a"), np.array(0)],
            "0, for unknown values, is not below the ids of known ones. Use no recipe with `inputs: raw`.",
        ),
    ],
)
def test_operation_on_other_than_raw_columns_is_refused(operation: str, inputs: list[Any], problem: str):
    with pytest.raises(UnsupportedError) as caught:
        REPLACED[operation](None, inputs, lambda tensor: tensor)
    assert str(caught.value) == problem


def test_graph_of_tensorflow_1_is_an_error(analyzed, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: SimpleNamespace(signatures={}))
    with pytest.raises(NotPortable) as caught:
        PortableTransform(analyzed.transform, {"fare_xf": "fare"})
    assert str(caught.value) == (
        "The transform graph was written for TensorFlow 1. Run Transform with force_tf_compat_v1=False."
    )


def test_values_of_one_column_keep_their_places():
    column = tf.constant([[5], [missing_marker(tf.int64)], [7]], tf.int64)
    dense_column = REPLACED["SparseToDense"](None, [Positions(column), None, Values(column * 2), np.array(-1, np.int64)], None)
    assert dense_column.numpy().tolist() == [[10], [-1], [14]]
    assert Positions(column).present().numpy().tolist() == [[True], [False], [True]]
    assert Positions(tf.constant([[b"x"], [b""]])).present().numpy().tolist() == [[True], [False]]
    assert Positions(tf.constant([[1.0], [math.nan]])).present().numpy().tolist() == [[True], [False]]
