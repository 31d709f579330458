"""Our tf.Examples beside those of TFX's CsvExampleGen, row for row.

Where the two differ, on purpose:

- A missing value. TFX writes a typed list without values (`int64_list {}`), we write a feature without a list, as tfx_bsl's
  encoder does for null. Parsers take both for no value; TFDV counts the former as present, with no values, and the latter as
  missing, which is what a schema's `presence` is about.
- Numbers have no spaces, plus signs or underscores around or in them: " 1", "+1" and "1_000" are text here, Python's int there.
- "nan" in a column of floats is a missing value here, NaN there.
- A column of whole numbers that a 32-bit float cannot hold exactly ("17031320400.0") is text here, merged ids there.
- Rows that cannot be used are set aside here; there the run stops, or infinite numbers pass.
- The side of a row: both hash its content, not with the same hash.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import json_format
from tfx.components.example_gen.csv_example_gen.executor import Executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts

from pipeline.components.example_gen import output_config
from pipeline.ingest.source import resolve_package

TAXI = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
MIXED = (
    "i,f,t,e,q,hex,long,y\n"
    + "".join(f'{i},{i}.5,t{i},,"a, ""{i}""",0x{i},{i},{i % 2}\n' for i in range(30))
    + '-5,,,,"",,,1\n9223372036854775807,1e3,été,,x,7,99999999999999999999,0\n,-0.25,12,,y,0X1f,1.5,1\n'
)


def by_tfx(csv_file: Path, folder: Path) -> list[tf.train.Example]:
    """Run TFX's executor on Beam, in this process."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    inputs = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern=csv_file.name)])
    properties = {
        "input_base": str(csv_file.parent),
        "input_config": json_format.MessageToJson(inputs),
        "output_config": json_format.MessageToJson(output_config({"train": 2, "eval": 1})),
        "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
        "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
    }
    arguments = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
    context = BaseBeamExecutor.Context(beam_pipeline_args=arguments, tmp_dir=str(folder / "tmp"), unique_id="1")
    Executor(context).Do({}, {"examples": [examples]}, properties)
    files = [str(file) for file in (folder / "examples").glob("Split-*/*.gz")]
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    return [tf.train.Example.FromString(record) for record in records]


@pytest.fixture(scope="session")
def taxi_by_tfx(tmp_path_factory: pytest.TempPathFactory) -> list[tf.train.Example]:
    """TFX's examples of the taxi data: nearly ten seconds, so once."""
    return by_tfx(Path(resolve_package(TAXI)), tmp_path_factory.mktemp("tfx"))


def parsed(examples: Sequence[tf.train.Example]) -> collections.Counter:
    """Count rows as {column: (type, values)}: both names of every column, and the type only where there is a value."""
    rows: collections.Counter = collections.Counter()
    for example in examples:
        row = []
        for name, feature in example.features.feature.items():
            kind = feature.WhichOneof("kind")
            values = tuple(getattr(feature, kind).value) if kind else ()
            row.append((name, kind if values else None, values))
        rows[tuple(sorted(row))] += 1
    return rows


def ours(records: Mapping[str, Sequence[bytes]]) -> list[tf.train.Example]:
    return [tf.train.Example.FromString(record) for part in records.values() for record in part]


def test_taxi_rows_equal_those_of_csv_example_gen(
    taxi_by_tfx: list[tf.train.Example], ingest_files: Callable[..., Any]
) -> None:
    label = {"kind": "binary", "column": "big_tipper"}
    examples = ours(ingest_files("csv", resolve_package(TAXI), label=label).records)
    assert len(examples) == 15_002
    assert parsed(examples) == parsed(taxi_by_tfx)
    assert sum(value == () for row in parsed(examples).elements() for _, _, value in row) > 1000


def test_mixed_columns_equal_those_of_csv_example_gen(tmp_path: Path, ingest_files: Callable[..., Any]) -> None:
    """Negative and large integers, quotes, an empty column, hexadecimal, text among numbers, what is missing in each type."""
    path = tmp_path / "data.csv"
    path.write_text(MIXED, "utf-8")
    assert parsed(ours(ingest_files("csv", path).records)) == parsed(by_tfx(path, tmp_path))


@pytest.mark.parametrize(("cell", "in_python"), [(" 5", 5), ("+5", 5), ("1_000", 1000)])
def test_a_number_that_only_python_reads_is_text_here(
    tmp_path: Path, ingest_files: Callable[..., Any], cell: str, in_python: int, current: bool
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n" + f"{cell},0\n{cell},1\n" + "".join(f"{i},{i % 2}\n" for i in range(8)))
    # Arrow 18 takes a plus before a fraction, not before a whole number.
    here = ("x", "float_list", (5.0,)) if current and cell == "+5" else ("x", "bytes_list", (cell.encode(),))
    assert (here, ("y", "int64_list", (0,))) in parsed(ours(ingest_files("csv", path).records))
    assert (("x", "int64_list", (in_python,)), ("y", "int64_list", (0,))) in parsed(by_tfx(path, tmp_path))


def test_only_the_spelling_of_a_missing_value_differs(tmp_path: Path, ingest_files: Callable[..., Any]) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(12)) + ",1\n")
    features = []
    for examples in (by_tfx(path, tmp_path), ours(ingest_files("csv", path).records)):
        (missing,) = [e.features.feature["x"] for e in examples if not e.features.feature["x"].int64_list.value]
        features.append(missing.SerializeToString())
    assert features == [b"\x1a\x00", b""]
