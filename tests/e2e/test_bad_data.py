"""Data that does not hold what the config or the schema says: the run stops with one clear message and pushes nothing."""

from __future__ import annotations

import csv
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pipeline_runs import Finished, run_here

from pipeline.ingest.source import resolve_package

pytestmark = pytest.mark.e2e

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def taxi_rows() -> Rows:
    with open(resolve_package("package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv")) as file:
        return list(csv.DictReader(file))[:900]


def taxi_job(repository: Path, folder: Path, rows: Rows, raw_tail: bytes = b"") -> Path:
    """Write a taxi config over some rows, with the curated schema."""
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "data.csv").open("ab") as file:
        file.write(raw_tail)
    config = yaml.safe_load((repository / "configs" / "taxi.yaml").read_text())
    config["data"]["path"] = str(folder / "data.csv")
    config["schema_file"] = str(repository / "configs" / "taxi_schema.pbtxt")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "config.yaml"


def change(rows: Rows, column: str, value: str, every: int = 10) -> Rows:
    return [row | {column: value} if i % every == 0 else row for i, row in enumerate(rows)]


def drop(rows: Rows, column: str) -> Rows:
    return [{name: value for name, value in row.items() if name != column} for row in rows]


def assert_stopped(finished: Finished, stage: str, *messages: str) -> None:
    assert finished.code == 1, finished.output
    assert finished.summary["status"] == "failed"
    (failed,) = [s for s in finished.summary["stages"] if s["state"] == "failed"]
    assert failed["id"] == stage
    for message in messages:
        assert message in failed["error"]
        assert message in finished.output.replace("\n", " ")
    assert "Traceback" not in finished.output
    assert str(finished.root / "runs" / finished.summary["run_id"] / "log.txt") in finished.output
    assert not (finished.root / "pushed").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: change(rows, "payment_type", "Seashells"), "column 'payment_type': Unexpected string values"),
        (lambda rows: change(rows, "fare", "-5"), "column 'fare': Out-of-range values"),
        (lambda rows: change(rows, "trip_miles", "", every=2), "column 'trip_miles': Column dropped"),
        (lambda rows: drop(rows, "trip_start_timestamp"), "column 'trip_start_timestamp': Column dropped"),
        (lambda rows: [row | {"surcharge": "1"} for row in rows], "column 'surcharge': New column"),
    ],
    ids=["new category", "out of range", "too many missing", "missing column", "new column"],
)
def test_schema_anomaly_stops_the_run_before_transform(
    repository: Path, tmp_path: Path, taxi_rows: Rows, damage: Callable[[Rows], Rows], message: str
) -> None:
    finished = run_here(taxi_job(repository, tmp_path, damage(taxi_rows)), tmp_path / "root")
    assert_stopped(finished, "DataGate", "anomalies against the schema", message, "or curate the schema")
    assert finished.states["Transform"] == "not_reached"
    assert any(message in anomaly for anomaly in finished.summary["data"]["anomalies"])


@pytest.mark.parametrize(
    ("damage", "tail", "messages"),
    [
        (
            lambda rows: rows,
            b"1,2,3\n",
            ["1 of 901 rows cannot be used", "data.csv row 902: 3 fields, expected 19"],
        ),
        (
            lambda rows: rows[:450] + change(rows[450:], "fare", "twelve", every=1),
            b"",
            ["450 of 900 rows cannot be used (50.0%)", "row 452: column 'fare' holds 'twelve', not a number", "and 445 more"],
        ),
        (lambda rows: change(rows, "fare", "inf"), b"", ["row 2: column 'fare' holds 'inf': infinite"]),
        (lambda rows: change(rows, "big_tipper", "0", every=1), b"", ["The label 'big_tipper' has only one value: '0'."]),
        (lambda rows: change(rows, "big_tipper", ""), b"", ["row 2: the label 'big_tipper' is empty"]),
        (
            lambda rows: change(rows, "big_tipper", "2"),
            b"",
            ["The label 'big_tipper' is binary but has 3 values: '0', '1', '2'."],
        ),
    ],
    ids=["short row", "type changes half-way", "infinity", "one class", "empty label", "three classes"],
)
def test_unusable_rows_stop_the_run_at_once(
    repository: Path, tmp_path: Path, taxi_rows: Rows, damage: Callable[[Rows], Rows], tail: bytes, messages: list[str]
) -> None:
    finished = run_here(taxi_job(repository, tmp_path, damage(taxi_rows), tail), tmp_path / "root")
    assert_stopped(finished, "ExampleGen", *messages)


def test_few_unusable_rows_are_set_aside_and_counted(repository: Path, tmp_path: Path, taxi_rows: Rows) -> None:
    config = taxi_job(repository, tmp_path, change(taxi_rows, "payment_type", "Seashells"), b"1,2,3\n")
    finished = run_here(config, tmp_path / "root", "data.max_bad_rows=0.01")
    assert finished.summary["data"]["quarantined"] == 1
    assert sum(finished.summary["data"]["examples"].values()) == 900


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("features.fares={kind: numeric}", "Did you mean 'fare'?"),
        ("data.path=missing.csv", "data.path: missing.csv does not exist."),
        ("fit.epochs=many", "fit.epochs: input should be a valid integer, unable to parse string as an integer, found 'many'."),
    ],
)
def test_bad_description_ends_with_code_2_and_nothing_ran(
    repository: Path, tmp_path: Path, override: str, message: str
) -> None:
    finished = run_here(repository / "configs" / "taxi.yaml", tmp_path / "root", override)
    assert finished.code == 2
    assert message in finished.output
    assert not (tmp_path / "root").exists()


def test_root_that_is_a_file_ends_with_code_2(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    finished = run_here(repository / "configs" / "taxi.yaml", tmp_path / "root")
    assert finished.code == 2
    assert f"--root {tmp_path / 'root'} cannot be written: File exists." in finished.output


def test_second_run_on_a_root_in_use_ends_with_code_4(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with (root / ".lock").open("w") as lock:
        lock.write("Process 4711 (since 2026-11-25T10:00:00Z)")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = run_here(repository / "configs" / "taxi.yaml", root)
    assert finished.code == 4
    assert f"Process 4711 (since 2026-11-25T10:00:00Z) is running on {root}." in finished.output


def test_interrupted_run_says_so_and_the_next_one_goes_on(repository: Path, tmp_path: Path, taxi_rows: Rows) -> None:
    config, root = taxi_job(repository, tmp_path, taxi_rows), tmp_path / "root"
    _make_cheap(config)
    process = subprocess.Popen(
        [sys.executable, "runner_local.py", "run", "--config", str(config), "--root", str(root)],
        cwd=repository,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "DataGate" in line:  # Transform comes next
            time.sleep(0.5)
            # Not SIGINT, which whatever a script runs in the background ignores; both take the same way.
            process.send_signal(signal.SIGTERM)
            break
    output = process.stdout.read()
    assert process.wait(timeout=120) == 130
    assert "Interrupted. The same command continues: finished stages are reused." in output
    interrupted = Finished.read(130, output, root)
    assert interrupted.summary["status"] == "interrupted"
    assert interrupted.states["Transform"] == "failed"
    assert interrupted.states["Trainer"] == "not_reached"

    finished = run_here(config, root)
    assert finished.code == 0, finished.output
    for stage in ("ExampleGen", "StatisticsGen", "ExampleValidator", "DataGate"):
        assert finished.states[stage] == "reused"
    assert finished.states["Trainer"] == "ran"


def test_an_interrupt_while_the_run_starts_is_told(repository: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "runner_local.py", "run", "--config", "configs/taxi.yaml", "--root", str(tmp_path / "root")],
        cwd=repository,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert "loading TFX" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    output = process.stdout.read()
    assert process.wait(timeout=120) == 130
    assert "Interrupted. The same command continues: finished stages are reused." in output
    assert Finished.read(130, output, tmp_path / "root").summary["status"] == "interrupted"


def _make_cheap(config: Path) -> None:
    """Leave a pipeline of few features, one gate and no edge model."""
    values = yaml.safe_load(config.read_text())
    del values["compression"]
    values["features"] = {name: values["features"][name] for name in ("fare", "trip_miles", "payment_type")}
    values["gates"] = [{"kind": "bound", "metric": "auc", "bound": 0.5}]
    values["fit"]["epochs"] = 12
    config.write_text(yaml.safe_dump(values))
