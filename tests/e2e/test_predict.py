"""Scores of a real model's raw rows: those of the SavedModel itself, of its edge models, and of an interrupted command."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from pipeline_runs import Finished, run_here
from pyarrow import parquet

from pipeline.ingest.source import resolve_package
from pipeline.predicting.command import PredictOptions, predict

pytestmark = pytest.mark.e2e

DATA = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
NUM_ROWS = 3000


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Taxi with few features, a small model, and an edge model of each kind."""
    values = yaml.safe_load((repository / "configs" / "taxi.yaml").read_text())
    del values["schema_file"]
    names = ("fare", "trip_miles", "payment_type", "company", "hour")
    values["features"] = {name: values["features"][name] for name in names}
    values["gates"] = [{"kind": "bound", "metric": "auc", "bound": 0.5}]
    values["fit"]["epochs"] = 2
    values["evaluation"]["slices"] = [["payment_type"]]
    values["compression"] = {"recipes": ["dynamic", "raw"], "gates": {"metric": "auc"}}
    path = tmp_path_factory.mktemp("predict") / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    done = run_here(path, path.parent / "root")
    assert done.code == 0, done.output
    return done


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first rows of the taxi data, without the label and the tips that give it away."""
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with open(resolve_package(DATA), newline="") as source, path.open("w", newline="") as target:
        lines = csv.DictReader(source)
        kept = [name for name in lines.fieldnames or () if name not in ("big_tipper", "tips")]
        writer = csv.DictWriter(target, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(itertools.islice(lines, NUM_ROWS))
    return path


@pytest.fixture(scope="module")
def expected(finished: Finished, rows: Path) -> np.ndarray:
    """What the pushed SavedModel says of the same rows as hand-made tf.Examples, (rows, 2)."""
    with rows.open(newline="") as file:
        examples = [_example(row) for row in csv.DictReader(file)]
    loaded = tf.saved_model.load(str(finished.root / finished.summary["pushed"]["saved_model"]))
    served = loaded.signatures["serving_default"](examples=tf.constant(examples))
    assert served["classes"].numpy()[0].tolist() == [b"0", b"1"]
    return served["scores"].numpy()


def _example(row: dict[str, str]) -> bytes:
    example = tf.train.Example()
    for name in ("fare", "trip_miles"):
        if row[name]:
            example.features.feature[name].float_list.value.append(float(row[name]))
    for name in ("payment_type", "company"):
        if row[name]:
            example.features.feature[name].bytes_list.value.append(row[name].encode())
    example.features.feature["trip_start_hour"].int64_list.value.append(int(row["trip_start_hour"]))
    return example.SerializeToString()


def scores(model: Path, rows: Path, output: Path) -> np.ndarray:
    """Score to a Parquet file and read it back, (rows, 2)."""
    assert predict(PredictOptions(str(model), str(rows), str(output))) == 0
    table = parquet.read_table(output)
    assert table.column_names == ["predicted_class", "score_0", "score_1"]
    found = np.stack([table["score_0"].to_numpy(), table["score_1"].to_numpy()], axis=1)
    np.testing.assert_array_equal(table["predicted_class"].to_pylist(), np.where(found[:, 1] > found[:, 0], "1", "0"))
    return found


def test_scores_are_those_of_the_saved_model_on_examples_made_by_hand(finished, rows, expected, tmp_path: Path):
    assert np.ptp(expected[:, 1]) > 0.5
    np.testing.assert_allclose(scores(finished.root, rows, tmp_path / "s.parquet"), expected, rtol=0, atol=1e-6)


def test_edge_package_agrees_as_its_report_says(finished, rows, expected, tmp_path: Path):
    """The run compared both on the eval split: here the rows are others, of both splits."""
    report = json.loads((finished.folder("Compressor", "edge_model") / "report.json").read_text())
    (variant,) = [variant for variant in report["variants"] if variant["name"] == report["chosen"]]
    found = scores(finished.root / finished.summary["pushed"]["edge"], rows, tmp_path / "s.parquet")
    difference = np.abs(found - expected).max(axis=1)
    assert difference.mean() < 2 * variant["agreement"]["mean_difference"] + 1e-4
    assert difference.max() < 2 * variant["agreement"]["max_difference"] + 1e-3


def test_raw_edge_model_agrees_on_every_row(finished, rows, expected, tmp_path: Path):
    model = finished.root / finished.summary["pushed"]["edge"] / "raw_model.tflite"
    np.testing.assert_allclose(scores(model, rows, tmp_path / "s.parquet"), expected, rtol=0, atol=1e-5)


def start(repository: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "runner_local.py", "predict", *map(str, arguments)]
    return subprocess.Popen(command, cwd=repository, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_command_scores_and_prints_what_it_did_and_nothing_else(finished, rows, expected, repository: Path, tmp_path: Path):
    output = tmp_path / "s.csv"
    process = start(repository, "--model", finished.root, "--input", rows, "--output", output, "--keep", "fare")
    printed, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert len(printed.splitlines()) == 2
    assert printed.splitlines()[0].endswith("/pushed/saved_model/1, 1 csv file, engine direct: fastest on one machine")
    with output.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["fare", "predicted_class", "score_0", "score_1"]
    np.testing.assert_allclose([float(row["score_1"]) for row in found], expected[:, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_interrupted_command_leaves_no_output(finished, rows, repository: Path, tmp_path: Path, number: int, code: int):
    many = tmp_path / "many.csv"
    header, *lines = rows.read_text().splitlines(keepends=True)
    many.write_text(header + "".join(lines) * 400)  # some seconds of work
    process = start(repository, "--model", finished.root, "--input", many, "--output", tmp_path / "s.csv")
    deadline = time.monotonic() + 100
    while not any(path.stat().st_size > 100_000 for path in tmp_path.glob(".s.csv.*.partial")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert not (tmp_path / "s.csv").exists()
    if number != signal.SIGKILL:
        assert errors == "Interrupted. No output was written.\n"
        assert [path.name for path in tmp_path.iterdir()] == ["many.csv"]


def test_usage_errors_need_neither_tensorflow_nor_beam(finished, rows, tmp_path: Path, repository: Path):
    asked = PredictOptions(str(finished.root), str(rows), str(tmp_path / "s.csv"), carried=["fair"])
    code = (
        f"import sys; from pipeline.predicting.command import PredictOptions, predict; print(predict({asked})); "
        "print([name for name in ('tensorflow', 'tfx', 'apache_beam', 'tfx_bsl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, text=True, capture_output=True, check=True, timeout=60)
    assert done.stdout == "2\n[]\n"
    assert done.stderr.startswith(f"--keep fair: there is no such column in {rows}. Did you mean 'fare'?\n")
