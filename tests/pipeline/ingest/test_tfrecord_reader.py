"""Existing TFRecords of tf.Example: kept as they are, checked as rows of other formats are."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.ingest import tfrecord_blocks, tfrecord_reader
from pipeline.ingest.tfrecord_reader import TFRecordReader

DAMAGED = "or is damaged, at record 1. If it is compressed its name must end in .gz."


def example(**features: Any) -> bytes:
    """Serialize {name: one value or a list of them}."""
    kinds = {int: "int64_list", float: "float_list", bytes: "bytes_list"}
    made = tf.train.Example()
    for name, given in features.items():
        values = given if isinstance(given, list) else [given]
        feature = made.features.feature[name]
        if values:
            getattr(feature, kinds[type(values[0])]).value.extend(values)
    return made.SerializeToString(deterministic=True)


def good(num_rows: int = 12, first: int = 0) -> list[bytes]:
    return [example(x=i, f=i + 0.5, t=b"t%d" % i, many=[1.0, 2.0, 3.0], y=i % 2) for i in range(first, first + num_rows)]


def write(path: Path, records: Sequence[bytes]) -> Path:
    compression = "GZIP" if path.suffix == ".gz" else ""
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type=compression)) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.mark.parametrize("name", ["data.tfrecord", "data.tfrecord.gz"])
def test_records_are_kept_byte_for_byte(tmp_path: Path, ingest_files: Callable[..., Any], name: str):
    done = ingest_files("tfrecord", write(tmp_path / name, good(200)))
    assert sorted([*done.records["train"], *done.records["eval"]]) == sorted(good(200))
    assert done.report.types == {"x": "integer", "f": "float", "t": "text", "many": "float", "y": "integer"}
    assert 110 < len(done.records["train"]) < 155


def test_a_record_keeps_its_side_whatever_is_added(tmp_path: Path, ingest_files: Callable[..., Any]):
    before = set(ingest_files("tfrecord", write(tmp_path / "a", good(100))).records["train"])
    after = set(ingest_files("tfrecord", write(tmp_path / "b", list(reversed(good(300))))).records["train"])
    assert before == after & set(good(100))


def test_unusable_records_are_set_aside_with_a_reason(tmp_path: Path, ingest_files: Callable[..., Any]):
    bad = [
        b"no example",
        example(x=1, f=1.0),
        example(x=1, f=float("inf"), y=1),
        example(x=1, f=1.0, y=[0, 1]),
        example(x=1.5, f=1.0, y=1),
        example(x=1, many=[1.0, float("-inf")], y=1),
        example(x=1, f=1.0, y=[]),
    ]
    records = [record for pair in zip(good(7), bad, strict=True) for record in pair]
    done = ingest_files("tfrecord", write(tmp_path / "data", records), max_bad_rows=0.6)
    assert done.reasons == {
        2: "is no tf.Example",
        4: "the label 'y' is empty",
        6: "feature 'f' holds an infinite number",
        8: "the label 'y' has 2 values, expected one",
        10: "feature 'x' holds float, in the first records integer",
        12: "feature 'many' holds an infinite number",
        14: "the label 'y' is empty",
    }
    assert sorted([*done.records["train"], *done.records["eval"]]) == sorted(good(7))


def test_a_type_that_changes_in_a_later_block_is_named(
    tmp_path: Path, ingest_files: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tfrecord_blocks, "BLOCK_BYTES", 200)
    records = [*good(30), example(x=b"text", y=1), *good(30, first=50)]
    done = ingest_files("tfrecord", write(tmp_path / "data", records), max_bad_rows=0.1)
    assert done.reasons == {31: "feature 'x' holds text, in the first records integer"}
    assert len(done.all_rows) == 60


@pytest.mark.parametrize("block_bytes", [1, 60, 200, 1 << 20])
@pytest.mark.parametrize(
    ("records", "reasons"),
    [
        pytest.param(
            [example(x=b"t", only=1, y=1), example(x=1.5, y=1)],
            {
                13: "feature 'x' holds text, in the first records integer",
                14: "feature 'x' holds float, in the first records integer",
            },
            id="a record that loses has a feature of its own",
        ),
        pytest.param(
            [example(x=b"t", n=1, y=1), example(x=5, n=b"n", y=0)],
            {
                13: "feature 'x' holds text, in the first records integer",
                14: "feature 'n' holds text, in the first records integer",
            },
            id="a record that loses has a feature first",
        ),
    ],
)
def test_a_conflict_of_types_costs_records_and_nothing_else(
    tmp_path: Path,
    ingest_files: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    records: Sequence[bytes],
    reasons: dict[int, str],
    block_bytes: int,
):
    monkeypatch.setattr(tfrecord_blocks, "BLOCK_BYTES", block_bytes)
    done = ingest_files("tfrecord", write(tmp_path / "data", [*good(), *records]), max_bad_rows=0.5)
    assert done.reasons == reasons
    assert sorted([*done.records["train"], *done.records["eval"]]) == sorted(good())


def test_files_that_differ_in_a_type_keep_the_first_ones_and_the_features_of_both(
    tmp_path: Path, ingest_files: Callable[..., Any]
):
    late = [example(x=b"t", y=1), *(example(x=i, late=b"z", y=i % 2) for i in range(5))]
    done = ingest_files("tfrecord", write(tmp_path / "1", good()), write(tmp_path / "2", late), max_bad_rows=0.5)
    assert done.report.types["late"] == "text"
    assert done.reasons == {1: "feature 'x' holds text, in the first records integer"}
    assert len(done.all_rows) == 17


def test_a_feature_without_a_value_anywhere_is_known(
    tmp_path: Path, ingest_files: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tfrecord_blocks, "BLOCK_BYTES", 1)
    done = ingest_files("tfrecord", write(tmp_path / "data", [example(x=1, e=[], y=1), *good()]))
    assert done.report.types["e"] == "empty"
    assert len(done.all_rows) == 13


def test_a_feature_that_comes_late_is_kept(tmp_path: Path, ingest_files: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tfrecord_blocks, "BLOCK_BYTES", 200)
    done = ingest_files("tfrecord", write(tmp_path / "data", [*good(30), example(late=b"x", y=1)]))
    assert done.report.types["late"] == "text"
    assert {"late": b"x", "y": 1} in done.all_rows


def test_a_wrong_checksum_costs_one_record(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data", good())
    content = bytearray(path.read_bytes())
    content[12 + 5] ^= 1  # in the first record
    path.write_bytes(content)
    assert ingest_files("tfrecord", path, max_bad_rows=0.1).reasons == {1: "the checksum does not fit"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data", b"x,y\n1,2\n3,4\n5,6\n", f"is no TFRecord file, {DAMAGED}"),
        ("data", b"abc", f"is no TFRecord file, {DAMAGED}"),
        ("data.gz", b"x,y\n1,2\n", "cannot be read: "),
    ],
)  # fmt: skip
def test_another_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        TFRecordReader.column_names([str(path)], [])
    assert str(caught.value).startswith(f"{path} {message}")


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data", good())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"data is cut off in record 12\."):
        ingest_files("tfrecord", path)


def test_compressed_content_without_the_suffix_is_refused(tmp_path: Path):
    path = tmp_path / "data.tfrecord"
    path.write_bytes(gzip.compress(b"x" * 100))
    with pytest.raises(DataError, match=r"If it is compressed its name must end in \.gz\."):
        TFRecordReader.column_names([str(path)], [])


def test_a_label_that_is_not_there_is_named(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data", [example(x=1)] * 3)
    with pytest.raises(DataError) as caught:
        ingest_files("tfrecord", path)
    assert str(caught.value) == f"{path} has no feature 'y', the label. Its features: x."


def test_text_where_numbers_must_be_is_refused(tmp_path: Path, ingest_files: Callable[..., Any]):
    path = write(tmp_path / "data", good())
    with pytest.raises(DataError) as caught:
        ingest_files("tfrecord", path, number_columns={"t": "numeric"})
    assert str(caught.value) == f"{path}: feature 't' holds text, not numbers (it is used as numeric)."


def test_records_are_split_by_time(tmp_path: Path, ingest_files: Callable[..., Any]):
    done = ingest_files("tfrecord", write(tmp_path / "data", good()), split={"by": "time", "column": "x", "eval_from": 9})
    assert [row["x"] for row in done.rows["eval"]] == [9, 10, 11]


def test_records_are_split_by_a_feature_unless_its_floats_cannot_tell_the_values_apart(
    tmp_path: Path, ingest_files: Callable[..., Any]
):
    path = write(tmp_path / "data", good())
    split = {"by": "column", "column": "f", "train": [i + 0.5 for i in range(9)], "eval": [9.5, 10.5, 11.5]}
    assert [row["f"] for row in ingest_files("tfrecord", path, split=split).rows["eval"]] == [9.5, 10.5, 11.5]
    with pytest.raises(
        DataError, match=r"`data\.split` names 20230103, which column 'f' cannot hold exactly: its 32-bit floats"
    ):
        ingest_files("tfrecord", path, split=split | {"eval": [20230103]})


def test_features_are_known_from_the_first_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tfrecord_reader, "NUM_LOOKED_AT", 20)
    files = [str(write(tmp_path / "1", [*good(100), example(late=1)])), str(write(tmp_path / "2", [b"none", example(later=1)]))]
    names = ["f", "many", "t", "x", "y"]
    assert sorted(TFRecordReader.column_names(files, names)) == names
    assert TFRecordReader.column_names([str(write(tmp_path / "empty", [])), *files], ["x"])
    with pytest.raises(DataError, match=r"holds no tf\.Example with a feature\."):
        TFRecordReader.column_names([str(tmp_path / "empty")], [])


def test_a_feature_that_is_wanted_is_looked_for_in_all_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tfrecord_reader, "NUM_LOOKED_AT", 20)
    files = [str(write(tmp_path / "1", [*good(100), example(late=1)])), str(write(tmp_path / "2", [b"none", example(later=1)]))]
    assert {"x", "late"} == set(TFRecordReader.column_names(files, ["x", "late"])) - {"f", "many", "t", "y"}
    assert {"late", "later"} < set(TFRecordReader.column_names(files, ["later"]))
    assert "never" not in TFRecordReader.column_names(files, ["never"])
