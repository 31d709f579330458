"""From CSV files to tf.Examples: what is written, in which order, and of which files."""

from __future__ import annotations

import collections
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from ingested_csv import GOOD, Records, Row, both, decoded, error_of, run

from pipeline.config import load_config
from pipeline.ingest import csv_blocks, ingesting
from pipeline.ingest.ingesting import ingest
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import resolve_package

TAXI = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"


def test_examples_hold_integers_floats_and_bytes(tmp_path: Path):
    content = "i,f,t,e,y\n" + "".join(f"{i},{i}.5,t{i},,{i % 2}\n" for i in range(12))
    report, rows = run(content, folder=tmp_path)
    assert sorted(both(rows), key=lambda row: row["i"]) == [
        {"i": i, "f": i + 0.5, "t": f"t{i}".encode(), "y": i % 2} for i in range(12)
    ]
    assert report.types == {"i": "integer", "f": "float", "t": "text", "e": "empty", "y": "integer"}
    assert report.examples == {name: len(part) for name, part in rows.items()}
    assert json.loads(report.to_json()) == {
        "examples": report.examples,
        "quarantined": [],
        "num_quarantined": 0,
        "types": report.types,
        "files": [{"path": f"{tmp_path}/data-0.csv", "rows": 12, "size_bytes": None, "modified": None, "sha256": None}],
        "sha256": None,
    }


def test_empty_cells_and_nan_are_missing_values(tmp_path: Path):
    more = "".join(f"{i},c,{i % 2}\n" for i in range(12))
    _, rows = run(f'x,t,y\nnan,a,1\n,"",0\n2,nan,1\n{more}', folder=tmp_path)
    found = both(rows)
    assert {"t": b"a", "y": 1} in found
    assert {"y": 0} in found
    assert {"x": 2.0, "t": b"nan", "y": 1} in found


def test_quoted_text_arrives_unquoted(tmp_path: Path):
    _, rows = run('t,y\n"a, ""b""\nc",1\n' + "".join(f"t{i},{i % 2}\n" for i in range(12)), folder=tmp_path)
    assert {"t": b'a, "b"\nc', "y": 1} in both(rows)


def test_files_with_other_columns_are_refused(tmp_path: Path):
    assert error_of("x,y\n1,0\n2,1\n", "y,x\n1,0\n2,1\n", folder=tmp_path) == (
        f"{tmp_path / 'data-1.csv'} has other columns than {tmp_path / 'data-0.csv'}: ['y', 'x'] instead of ['x', 'y']."
    )


def test_a_file_without_rows_is_fine_beside_others(tmp_path: Path):
    for contents in (["x,y\n", f"x,y\n{GOOD}"], [f"x,y\n{GOOD}", "x,y"]):
        assert len(both(run(*contents, folder=tmp_path)[1])) == 12
    assert error_of("x,y\n", "x,y", folder=tmp_path) == (
        f"There is not a single row in {tmp_path / 'data-0.csv'} and 1 more. Bring rows, or check `data.path`."
    )


def test_taxi_rows_equal_those_of_pythons_csv_module(repository: Path):
    config = load_config(repository / "configs" / "taxi.yaml")
    path = resolve_package(TAXI)
    writers = {"train": Records(), "eval": Records()}
    settings = IngestSettings(
        kind="csv",
        label=config.label,
        number_columns=config.number_columns,
        split=config.data.split,
        max_bad_rows=0.0,
        rows_per_shard=100,
    )
    report = ingest([path], settings, writers, io.StringIO())
    found = {name: collections.Counter(as_key(decoded(r)) for r in records) for name, records in writers.items()}

    with Path(path).open(newline="", encoding="utf-8") as file:
        raw = list(csv.DictReader(file))
    assert len(raw) == 15_002
    expected = collections.Counter(as_key(parsed(row, report.types)) for row in raw)
    assert found["train"] + found["eval"] == expected
    num_missing = sum(value == "" for row in raw for value in row.values())
    assert num_missing > 1000
    assert num_missing == sum(len(raw[0]) - len(key) for key in expected.elements())
    assert report.num_quarantined == 0


def test_examples_keep_the_order_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 640)
    monkeypatch.setattr(ingesting, "ROWS_PER_PART", 3)
    _, rows = run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(100)), folder=tmp_path)
    for part in rows.values():
        assert [row["x"] for row in part] == sorted(row["x"] for row in part)


def parsed(row: Mapping[str, str], types: Mapping[str, str]) -> Row:
    """Return what a row of text should become."""
    convert = {"integer": int, "float": lambda text: float(np.float32(text)), "text": str.encode}
    return {name: convert[types[name]](text) for name, text in row.items() if text}


def as_key(row: Row) -> tuple:
    return tuple(sorted(row.items()))
