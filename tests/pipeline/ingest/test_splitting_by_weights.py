"""Which rows are for training and which for evaluation, by weights: a row's side is its own, each side gets its share."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ingested_csv import GOOD, Row, error_of, run

from pipeline.ingest import csv_blocks


def side_of_each(rows: Mapping[str, Sequence[Row]]) -> dict[int, str]:
    return {row["x"]: name for name, part in rows.items() for row in part}


def test_a_row_keeps_its_side_whatever_the_order_the_files_and_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [f"{i},{i % 2}\n" for i in range(300)]
    first = side_of_each(run("x,y\n" + "".join(lines), folder=tmp_path)[1])
    random.Random(3).shuffle(lines)
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 64)
    again = side_of_each(run("x,y\n" + "".join(lines[:100]), "x,y\n" + "".join(lines[100:]), folder=tmp_path)[1])
    assert len(first) == 300
    assert again == first


def test_a_row_keeps_its_side_when_rows_are_added(tmp_path: Path):
    first = side_of_each(run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(100)), folder=tmp_path)[1])
    grown = side_of_each(run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in reversed(range(200))), folder=tmp_path)[1])
    assert {x: side for x, side in grown.items() if x < 100} == first


def test_equal_rows_never_stand_on_both_sides(tmp_path: Path):
    _, rows = run("x,y\n" + GOOD * 5, folder=tmp_path)
    train, evaluation = ({row["x"] for row in part} for part in rows.values())
    assert train & evaluation == set()
    assert train | evaluation == set(range(12))


@pytest.mark.parametrize(
    ("weights", "shares"), [({"train": 2, "eval": 1}, (2 / 3, 1 / 3)), ({"train": 9, "eval": 1}, (0.9, 0.1))]
)
def test_splits_get_about_their_share(tmp_path: Path, weights: Mapping[str, int], shares: Sequence[float]):
    num_rows = 20_000
    report, _ = run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(num_rows)), folder=tmp_path, split=weights)
    assert sum(report.examples.values()) == num_rows
    for count, share in zip(report.examples.values(), shares, strict=True):
        # Four standard deviations of a binomial: one chance in 16,000, and the hash is fixed.
        assert abs(count / num_rows - share) < 4 * math.sqrt(share * (1 - share) / num_rows)


def test_an_empty_split_is_refused(tmp_path: Path):
    assert error_of("x,y\n1,1\n1,0\n", folder=tmp_path, split={"train": 100_000, "eval": 1}) == (
        "Split 'eval' got none of the 2 rows. Bring more rows, or change `data.split`."
    )
