"""From Parquet files to tf.Examples: what CSV would give for the same values."""

from __future__ import annotations

import collections
from collections.abc import Callable
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyarrow import csv, parquet

from pipeline.errors import DataError
from pipeline.ingest import parquet_blocks
from pipeline.ingest.parquet_reader import ParquetReader
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import resolve_package

TAXI = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
NOON = datetime(2024, 1, 31, 12, tzinfo=timezone.utc)


def write(path: Path, **columns: Any) -> Path:
    """Write columns and a label, 1 and 0 by turns."""
    num_rows = len(next(iter(columns.values())))
    parquet.write_table(pa.table({**columns, "y": [i % 2 for i in range(num_rows)]}), path)
    return path


def reader_of(path: Path) -> ParquetReader:
    label = {"kind": "regression", "column": "y"}
    split, kind = {"train": 2, "eval": 1}, "parquet"
    return ParquetReader(
        [str(path)],
        IngestSettings(kind=kind, label=label, number_columns={}, split=split, max_bad_rows=0.0, rows_per_shard=100),
    )


@pytest.mark.parametrize(
    ("arrow_type", "value", "expected"),
    [
        (pa.int8(), -5, -5),
        (pa.uint32(), 2**32 - 1, 2**32 - 1),
        (pa.int64(), -(2**63), -(2**63)),
        (pa.uint64(), 2**63, float(2**63)),
        (pa.bool_(), True, 1),
        (pa.float32(), 0.1, float(np.float32(0.1))),
        (pa.float64(), 1e-3, float(np.float32(1e-3))),
        (pa.decimal128(10, 2), Decimal("-12.25"), -12.25),
        (pa.string(), "größe", "größe".encode()),
        (pa.large_string(), "x", b"x"),
        (pa.binary(), b"\xff\0", b"\xff\0"),
        (pa.binary(2), b"ab", b"ab"),
        (pa.dictionary(pa.int8(), pa.string()), "cash", b"cash"),
        (pa.dictionary(pa.int16(), pa.int64()), 7, 7),
        (pa.date32(), date(2024, 1, 31), b"2024-01-31"),
        (pa.timestamp("s"), datetime(2024, 1, 31, 12), b"2024-01-31 12:00:00.000"),
        (pa.timestamp("us"), datetime(2024, 1, 31, 12, 0, 0, 5), b"2024-01-31 12:00:00.000005"),
        (pa.timestamp("ms", "Europe/Berlin"), NOON, b"2024-01-31 12:00:00.000Z"),
        (pa.time64("us"), time(3, 4), b"03:04:00.000000"),
    ],
    ids=str,
)
def test_a_value_becomes_what_a_tf_example_can_hold(
    tmp_path: Path, ingest_files: Callable[..., Any], arrow_type: pa.DataType, value: Any, expected: Any
):
    path = write(tmp_path / "data.parquet", x=pa.array([value, None] * 8, arrow_type), i=pa.array(range(16)))
    rows = {row["i"]: row for row in ingest_files("parquet", path).all_rows}
    assert [rows[i].get("x") for i in range(4)] == [expected, None, expected, None]


def test_empty_text_and_nan_are_missing_as_in_csv(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data.parquet", x=[float("nan"), 1.0] * 6, t=["", "a"] * 6, i=list(range(12)))
    assert collections.Counter(map(len, ingest_files("parquet", path).all_rows)) == {2: 6, 4: 6}


def test_a_column_of_nothing_is_missing(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data.parquet", x=pa.nulls(12), i=pa.array(range(12)))
    assert all("x" not in row for row in ingest_files("parquet", path).all_rows)


def test_infinite_numbers_and_empty_labels_are_set_aside(tmp_path: Path, ingest_files: Callable[..., Any]):
    table = pa.table(
        {"x": [1.0, float("inf"), 1e39, *map(float, range(9))], "y": pa.array([0, 1, 0, None, *[0, 1] * 4], pa.int64())}
    )
    parquet.write_table(table, tmp_path / "data.parquet")
    done = ingest_files("parquet", tmp_path / "data.parquet", number_columns={"x": "numeric"}, max_bad_rows=0.5)
    assert done.reasons == {
        2: "column 'x' holds 'inf': infinite (it is used as numeric)",
        3: "column 'x' holds '1e+39': beyond a 32-bit float (it is used as numeric)",
        4: "the label 'y' is empty",
    }
    assert len(done.all_rows) == 9
    assert done.report.types == {"x": "double", "y": "int64"}


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array([[1], [2]]), "list<item: int64>"),
        (pa.array([{"a": 1}, {"a": 2}]), "struct<a: int64>"),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), "map<string, int64>"),
    ],
    ids=["list", "struct", "map"],
)
def test_nested_columns_are_refused(tmp_path: Path, ingest_files: Callable[..., Any], column: pa.Array, shown: str):
    path = write(tmp_path / "data.parquet", x=column)
    with pytest.raises(DataError) as caught:
        ingest_files("parquet", path)
    assert str(caught.value).startswith(f"{path}: column 'x' holds {shown}"[:-2])
    assert str(caught.value).endswith(
        "no single number or text. Leave it out, or write it as columns of numbers, booleans, text, bytes, dates or times."
    )


def test_text_where_numbers_must_be_is_refused_at_once(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data.parquet", fare=["1", "2"])
    with pytest.raises(DataError) as caught:
        ingest_files("parquet", path, number_columns={"fare": "bucketized"})
    assert str(caught.value) == f"{path}: column 'fare' holds string, not numbers (it is used as bucketized)."


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pa.array(["1", "2"]).dictionary_encode(), "dictionary<values=string, indices=int32, ordered=0>"),
        (pa.array([date(2024, 1, 31)] * 2), "date32[day]"),
        (pa.array([NOON] * 2), "timestamp[us, tz=UTC]"),
        (pa.array([time(12)] * 2), "time64[us]"),
    ],
    ids=["dictionary", "date", "timestamp", "time of day"],
)
def test_what_becomes_text_is_refused_where_numbers_must_be(
    tmp_path: Path, ingest_files: Callable[..., Any], values: pa.Array, shown: str
):
    one, two = write(tmp_path / "1.parquet", x=pa.nulls(2)), write(tmp_path / "2.parquet", x=values)
    with pytest.raises(DataError) as caught:
        ingest_files("parquet", one, two, number_columns={"x": "numeric"})
    assert str(caught.value) == f"{two}: column 'x' holds {shown}, not numbers (it is used as numeric)."


def test_a_dictionary_of_numbers_holds_numbers(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data.parquet", x=pa.array([float(i) for i in range(12)]).dictionary_encode())
    done = ingest_files("parquet", path, number_columns={"x": "numeric"})
    assert sorted(row["x"] for row in done.all_rows) == list(range(12))


def test_files_with_other_columns_are_refused(tmp_path: Path, ingest_files: Callable[..., Any]):
    one, two = write(tmp_path / "1.parquet", x=[1, 2]), write(tmp_path / "2.parquet", x=[1.0, 2.0])
    with pytest.raises(DataError) as caught:
        ingest_files("parquet", one, two)
    assert str(caught.value) == f"{two} has other columns than {one}: x: double, y: int64 instead of x: int64, y: int64."


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (pa.field("x", pa.int64(), nullable=False), 5),
        (pa.field("x", pa.null()), None),
        (pa.field("x", pa.dictionary(pa.int8(), pa.int64())), 5),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_first", [True, False])
def test_files_may_differ_in_what_their_rows_do_not_show(
    tmp_path: Path, ingest_files: Callable[..., Any], other: pa.Field, expected: int | None, is_first: bool
):
    one = write(tmp_path / "1.parquet", x=pa.array([7] * 12), i=list(range(12)))
    labels = pa.array([0, 1] * 6)
    schema = pa.schema([other, ("i", pa.int64()), ("y", pa.int64())])
    two = tmp_path / "2.parquet"
    values = pa.array([expected] * 12).cast(other.type) if pa.types.is_null(other.type) else pa.array([5] * 12, other.type)
    parquet.write_table(pa.table([values, pa.array(range(12, 24)), labels], schema=schema), two)
    done = ingest_files("parquet", *((two, one) if is_first else (one, two)))
    assert {row["i"]: row.get("x") for row in done.all_rows} == {i: 7 if i < 12 else expected for i in range(24)}


def test_memory_does_not_grow_with_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parquet_blocks, "BLOCK_BYTES", 1 << 20)
    x, y = np.random.default_rng(0).normal(size=(2, 1_000_000))
    path = tmp_path / "data.parquet"
    table = pa.table({"x": x, "y": y})
    parquet.write_table(table, path, row_group_size=1_000_000, use_dictionary=False, compression="none")
    size_bytes = table.nbytes
    del table
    before = pa.total_allocated_bytes()
    used = [pa.total_allocated_bytes() - before for _ in reader_of(path).blocks()]
    assert len(used) >= 8
    assert max(used) < size_bytes / 2


@pytest.mark.parametrize("is_categorical", [False, True])
def test_a_block_is_small_however_well_its_file_is_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_categorical: bool
):
    monkeypatch.setattr(parquet_blocks, "BLOCK_BYTES", 1 << 20)
    text = pa.array(["a" * 2000, "b" * 2000] * 5000)
    path = write(tmp_path / "data.parquet", x=text.dictionary_encode() if is_categorical else text)
    blocks = list(reader_of(path).blocks())
    assert sum(len(block.rows) for block in blocks) == 10_000
    assert [block.rows[0] for block in blocks[:2]] == [1, 1 + len(blocks[0].rows)]
    assert all(block.batch.column(0).cast(pa.string()).nbytes < 3 << 20 for block in blocks)


def test_narrow_rows_make_large_blocks(tmp_path: Path):
    path = write(tmp_path / "data.parquet", x=list(range(150_000)))
    assert [len(block.rows) for block in reader_of(path).blocks()] == [65_536, 65_536, 18_928]


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path):
    path = tmp_path / "data.parquet"
    path.write_text("x,y\n1,0\n")
    with pytest.raises(DataError, match=r"data\.parquet cannot be read as Parquet: "):
        ParquetReader.column_names([str(path)], [])


def test_columns_are_known_without_reading_rows(tmp_path: Path):
    full = str(write(tmp_path / "data.parquet", b=[1, 2], a=[1, 2]))
    empty = str(write(tmp_path / "empty.parquet", b=pa.array([], pa.int64()), a=pa.array([], pa.int64())))
    assert ParquetReader.column_names([full], ["b"]) == ["b", "a", "y"]
    assert ParquetReader.column_names([empty, full], ["b"]) == ["b", "a", "y"]
    with pytest.raises(DataError, match=r"empty\.parquet has columns but no rows"):
        ParquetReader.column_names([empty], ["b"])


def test_files_without_any_row_are_refused(tmp_path: Path, ingest_files: Callable[..., Any]):
    empty = tmp_path / "1.parquet"
    parquet.write_table(pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}), empty)
    with pytest.raises(DataError) as caught:
        ingest_files("parquet", empty)
    assert str(caught.value) == f"There is not a single row in {empty}. Bring rows, or check `data.path`."
    assert len(ingest_files("parquet", empty, write(tmp_path / "2.parquet", x=list(range(12)))).all_rows) == 12


def test_rows_are_numbered_through_a_file_of_many_batches(
    tmp_path: Path, ingest_files: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parquet_blocks, "BLOCK_BYTES", 300)
    values = [float("inf") if i in (0, 70, 199) else float(i) for i in range(200)]
    paths = [write(tmp_path / f"{name}.parquet", x=values) for name in "ab"]
    done = ingest_files("parquet", *paths, max_bad_rows=0.5)
    assert [(Path(row["file"]).name, row["row"]) for row in done.quarantine] == [
        (f"{name}.parquet", row) for name in "ab" for row in (1, 71, 200)
    ]
    assert sorted(row["x"] for row in done.all_rows) == sorted([x for x in values if x != float("inf")] * 2)


def test_taxi_rows_are_the_same_from_parquet_as_from_csv(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = resolve_package(TAXI)
    parquet.write_table(csv.read_csv(path), tmp_path / "taxi.parquet")
    label = {"kind": "binary", "column": "big_tipper"}
    from_parquet = ingest_files("parquet", tmp_path / "taxi.parquet", label=label).records
    from_csv = ingest_files("csv", path, label=label).records
    assert collections.Counter([r for part in from_parquet.values() for r in part]) == collections.Counter(
        [r for part in from_csv.values() for r in part]
    )
    assert sum(map(len, from_parquet.values())) == 15_002


@pytest.fixture
def remote_folder():
    """A folder on TensorFlow's in-memory file system: read through tf.io.gfile, as gs:// is."""
    yield "ram://ingest-parquet"
    tf.io.gfile.rmtree("ram://ingest-parquet")


def test_remote_files_are_read_like_local_ones(tmp_path: Path, ingest_files: Callable[..., Any], remote_folder: str):
    local = write(tmp_path / "data.parquet", x=list(range(5000)), t=[f"t{i}" for i in range(5000)])
    tf.io.gfile.makedirs(remote_folder)
    tf.io.gfile.copy(str(local), f"{remote_folder}/data.parquet")
    assert ParquetReader.column_names([f"{remote_folder}/data.parquet"], []) == ["x", "t", "y"]
    assert ingest_files("parquet", f"{remote_folder}/data.parquet").records == ingest_files("parquet", local).records
