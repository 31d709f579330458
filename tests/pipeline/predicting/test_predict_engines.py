"""Beam beside the engine of this process: the same scores, in shards, in no order."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.predicting import rows as scored_rows
from pipeline.predicting.command import PredictOptions, predict

NUM_ROWS = 3000
RUNNER = ("--runner=DirectRunner",)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three CSV files of 1,000 rows with ids, some values missing, one row of the second file bad."""
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(5)
    for i in range(3):
        with (folder / f"{i}.csv").open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["id", "amount", "area", "word"])
            for j in range(1000):
                amount = "" if j % 7 == 0 else f"{random.normal():.4f}"
                lines.writerow([f"{i}-{j}", amount, "many" if (i, j) == (1, 500) else j % 3, "a\nb" if j % 5 == 0 else "c"])
    return folder


def score(model: Path, files: Path, output: Path, *beam_args: str, **more) -> int:
    options = {"carried": ["id"], "max_bad_rows": 0.01} | more
    return predict(PredictOptions(str(model), str(files), str(output), beam_args=beam_args, **options))


@pytest.fixture(scope="module")
def direct(multiclass: Path, files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """{id: row of output} of the engine in this process."""
    output = tmp_path_factory.mktemp("direct") / "s.parquet"
    assert score(multiclass, files, output) == 0
    return {row["id"]: row for row in parquet.read_table(output).to_pylist()}


def test_beam_gives_the_same_rows_in_shards(multiclass: Path, files: Path, direct, tmp_path: Path, monkeypatch, capfd):
    monkeypatch.setattr(scored_rows, "ROWS_PER_PART", 300)
    assert score(multiclass, files, tmp_path / "s.parquet", *RUNNER) == 0
    shards = sorted(tmp_path.glob("s-*"))
    assert [shard.name for shard in shards] == [f"s-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
    found = pa.concat_tables(map(parquet.read_table, shards)).to_pylist()
    assert len(found) == NUM_ROWS - 1
    assert {row["id"]: row for row in found} == direct
    (bad,) = (tmp_path / "s.quarantine.jsonl").read_text().splitlines()
    assert json.loads(bad) == {
        "file": str(files / "1.csv"),
        "row": 502,
        "reason": "column 'area' holds 'many', not a number (it is read as integer)",
    }
    printed = capfd.readouterr().out.splitlines()
    assert printed[0] == f"SavedModel {multiclass}, 3 csv files, engine beam: a runner is named"
    assert printed[1].startswith("3,000 rows in ")
    assert printed[2] == f"1 of them could not be scored: {tmp_path}/s.quarantine.jsonl"
    assert {path.name for path in tmp_path.iterdir()} == {"s.quarantine.jsonl", *(shard.name for shard in shards)}


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl"])
def test_every_shard_of_text_can_be_read_alone(multiclass: Path, files: Path, direct, tmp_path: Path, suffix: str):
    # Left by an earlier command with more shards; the last one is somebody else's.
    for name in ("s-00006-of-00007", "s-00000-of-00007", "other-00000-of-00001"):
        (tmp_path / f"{name}{suffix}").write_text("old")
    assert score(multiclass, files, tmp_path / f"s{suffix}", engine="beam") == 0
    found = []
    for shard in tmp_path.glob(f"s-*{suffix}"):
        content = gzip.decompress(shard.read_bytes()) if suffix.endswith(".gz") else shard.read_bytes()
        lines = content.decode().splitlines()
        found += map(json.loads, lines) if suffix == ".jsonl" else csv.DictReader(lines)
    assert len(found) == NUM_ROWS - 1
    assert {row["id"]: row["predicted_class"] for row in found} == {
        name: row["predicted_class"] for name, row in direct.items()
    }
    assert {row["id"]: float(row["score_dog"]) for row in found} == {name: row["score_dog"] for name, row in direct.items()}
    assert (tmp_path / f"other-00000-of-00001{suffix}").exists()


def test_too_many_bad_rows_leave_what_was_there_before(multiclass: Path, files: Path, tmp_path: Path, capfd):
    (tmp_path / "s-00000-of-00001.csv").write_text("before")
    assert score(multiclass, files, tmp_path / "s.csv", *RUNNER, max_bad_rows=0) == 1
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("1 of ")]  # Beam logs to the same place
    assert [line.startswith("1 of 3000 rows cannot be scored (0.0%); --max-bad-rows allows 0.0%. {") for line in told] == [True]
    assert (tmp_path / "s-00000-of-00001.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s-00000-of-00001.csv", "s.quarantine.jsonl"]


def test_a_file_that_ends_too_early_fails_in_a_sentence(multiclass: Path, files: Path, tmp_path: Path, capfd):
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((files / "0.csv").read_bytes() * 500)[:-200])
    assert score(multiclass, tmp_path / "rows.csv.gz", tmp_path / "s.csv", *RUNNER) == 1
    assert f"{tmp_path}/rows.csv.gz cannot be read: " in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv.gz"]


def test_a_runner_that_beam_does_not_know_is_bad_usage(multiclass: Path, files: Path, tmp_path: Path, capfd):
    assert score(multiclass, files, tmp_path / "s.csv", "--runner=NoRunner") == 2
    assert capfd.readouterr().err.startswith("--runner, --beam-arg: ")
    assert list(tmp_path.iterdir()) == []
