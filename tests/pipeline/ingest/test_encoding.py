"""Serialized tf.Examples, held to tfx_bsl's encoder and to TensorFlow's parser."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from pipeline.ingest.encoding import encode, varint

EDGES = [0, 1, 127, 128, 16_383, 16_384, -1, 2**31, 2**62, 2**63 - 1, -(2**63)]


def by_tfx_bsl(columns: dict[str, pa.Array]) -> list[tf.train.Example]:
    lists = []
    for values in columns.values():
        value_type = pa.float32() if pa.types.is_null(values.type) else values.type
        lists.append(pa.array([None if v is None else [v] for v in values.to_pylist()], pa.list_(value_type)))
    batch = pa.RecordBatch.from_arrays(lists, list(columns))
    return [tf.train.Example.FromString(record) for record in RecordBatchToExamplesEncoder().encode(batch)]


def ours(columns: dict[str, pa.Array]) -> list[tf.train.Example]:
    return [tf.train.Example.FromString(record) for record in encode(columns).to_pylist()]


@pytest.mark.parametrize("name", ["x", "n" * 105, "n" * 120, "n" * 200, "größe"])
def test_rows_equal_those_of_tfx_bsl(name: str):
    """Names around 128 bytes, where a length takes a second byte."""
    floats = np.array([0, -0.0, 1.5, 3.4e38, 1e-45], np.float32)
    columns = {
        name: pa.array([*EDGES, None], pa.int64()),
        "float": pa.array([None, *floats, *floats, None], pa.float32()),
        "text": pa.array([b"", b"a", None, *(b"x" * n for n in (110, 120, 124, 127, 128, 200, 16_384, 0, 1))], pa.binary()),
        "nothing": pa.nulls(12),
        "none missing": pa.array(range(12), pa.int64()),
    }
    assert ours(columns) == by_tfx_bsl(columns)


@pytest.mark.parametrize("seed", range(5))
def test_random_rows_equal_those_of_tfx_bsl(seed: int):
    random = np.random.default_rng(seed)
    num_rows = 300

    def some_missing(values: list, arrow_type: pa.DataType) -> pa.Array:
        return pa.array([None if random.random() < 0.2 else value for value in values], arrow_type)

    columns = {}
    for i in range(12):
        shifts = random.integers(0, 64, num_rows).astype(np.uint64)
        integers = (random.integers(0, 2**64, num_rows, np.uint64, endpoint=False) >> shifts).view(np.int64)
        texts = [random.bytes(int(random.integers(0, 300))) for _ in range(num_rows)]
        columns[f"{'i' * random.integers(1, 150)}{i}"] = some_missing(integers.tolist(), pa.int64())
        columns[f"{'f' * random.integers(1, 150)}{i}"] = some_missing(random.normal(size=num_rows).tolist(), pa.float32())
        columns[f"{'t' * random.integers(1, 150)}{i}"] = some_missing(texts, pa.binary())
    assert ours(columns) == by_tfx_bsl(columns)


def test_a_missing_value_is_a_feature_without_a_list():
    (example,) = ours({"x": pa.array([None], pa.int64())})
    assert dict(example.features.feature) == {"x": tf.train.Feature()}
    assert example.features.feature["x"].WhichOneof("kind") is None


def test_slices_and_no_rows_are_encoded():
    whole = {"x": pa.array(range(10), pa.int64()), "t": pa.array([b"a", b"bc"] * 5, pa.binary())}
    assert encode({n: v[3:6] for n, v in whole.items()}).to_pylist() == encode(whole).to_pylist()[3:6]
    assert encode({n: v[:0] for n, v in whole.items()}).to_pylist() == []


def test_equal_rows_are_equal_bytes():
    record = encode({"b": pa.array([1], pa.int64()), "a": pa.array([b"x"], pa.binary())})[0].as_py()
    assert (
        record == b"\x0a\x18" + b"\x0a\x0a\x0a\x01b\x12\x05\x1a\x03\x0a\x01\x01" + b"\x0a\x0a\x0a\x01a\x12\x05\x0a\x03\x0a\x01x"
    )


@pytest.mark.parametrize(("value", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_numbers_have_seven_bits_a_byte(value: int, expected: bytes):
    assert varint(value) == expected


def test_another_type_is_refused():
    with pytest.raises(KeyError):
        encode({"x": pa.array([1], pa.int32())})
