"""Which type a column of CSV files gets, over all files and blocks."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ingested_csv import GOOD, both, run

from pipeline.ingest import csv_blocks


def test_integers_beyond_int64_are_text_unless_a_number_is_wanted(tmp_path: Path):
    content = f"x,y\n99999999999999999999,1\n{GOOD}"
    report, rows = run(content, folder=tmp_path)
    assert report.types["x"] == "text"
    assert {"x": b"99999999999999999999", "y": 1} in both(rows)
    report, rows = run(content, folder=tmp_path, numbers={"x": "numeric"})
    assert report.types["x"] == "float"
    assert {"x": float(np.float32(1e20)), "y": 1} in both(rows)


def test_a_type_is_inferred_over_all_files_and_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 24)
    report, rows = run(f"x,y\n{GOOD}", f"x,y\n{GOOD}0.5,1\n", folder=tmp_path)
    assert report.types == {"x": "float", "y": "integer"}
    assert collections.Counter(row["x"] for row in both(rows)) == {**{float(i): 2 for i in range(12)}, 0.5: 1}
    assert {type(row["x"]) for row in both(rows)} == {float}


def test_text_in_a_column_that_no_feature_reads_as_a_number_makes_it_text(tmp_path: Path):
    report, rows = run(f"x,y\n{GOOD}abc,1\n", folder=tmp_path)
    assert report.types["x"] == "text"
    assert {"x": b"abc", "y": 1} in both(rows)
    assert {"x": b"0", "y": 0} in both(rows)


def test_ids_that_float32_would_merge_stay_text(tmp_path: Path):
    report, rows = run("x,y\n17031320400.0,1\n17031320401.0,0\n" + GOOD, folder=tmp_path)
    assert report.types["x"] == "text"
    assert {b"17031320400.0", b"17031320401.0"} <= {row["x"] for row in both(rows)}


IDS = "".join(f"{17031320400 + i},{i % 2}\n" for i in range(4))


@pytest.mark.parametrize("contents", [[IDS + GOOD + "1.5,1\n"], [IDS + GOOD, GOOD + "1.5,1\n"], ["1.5,1\n" + GOOD, IDS]])
def test_ids_stay_text_whichever_block_or_file_has_the_floats(
    tmp_path: Path, contents: Sequence[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    report, rows = run(*(f"x,y\n{content}" for content in contents), folder=tmp_path)
    assert report.types["x"] == "text"
    assert {b"%d" % (17031320400 + i) for i in range(4)} | {b"1.5"} <= {row["x"] for row in both(rows)}


def test_ids_alone_are_integers_and_numbers_if_a_feature_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    report, rows = run(f"x,y\n{IDS}{GOOD}", folder=tmp_path)
    assert report.types["x"] == "integer"
    assert {17031320400 + i for i in range(4)} <= {row["x"] for row in both(rows)}
    report, rows = run(f"x,y\n{IDS}{GOOD}1.5,1\n", folder=tmp_path, numbers={"x": "numeric"})
    assert report.types["x"] == "float"
