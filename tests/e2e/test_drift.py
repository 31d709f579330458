"""`runner_local.py drift` against what the taxi model was trained on."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pipeline_runs import Finished

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    (tfx,) = find_spec("tfx").submodule_search_locations  # type: ignore[union-attr]
    return pd.read_csv(Path(tfx) / "examples" / "chicago_taxi_pipeline" / "data" / "simple" / "data.csv")


def drift(repository: Path, taxi: Finished, data: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "runner_local.py", "drift", "--config", "configs/taxi.yaml", "--root", taxi.root]
    asked = [str(part) for part in (*command, "--data", data, *arguments)]
    return subprocess.run(asked, cwd=repository, capture_output=True, text=True, timeout=120, check=False)


def test_same_rows_have_not_drifted_and_need_no_label(
    repository: Path, taxi: Finished, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.drop(columns="tips").sample(4000, random_state=1).to_csv(tmp_path / "new.csv", index=False)
    done = drift(repository, taxi, tmp_path / "new.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing has drifted. 4,000 rows compared with " in done.stdout


def test_what_has_drifted_is_named_and_reported(repository: Path, taxi: Finished, rows: pd.DataFrame, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    new = rows.sample(4000, random_state=2).drop(columns="tips")
    new["fare"] *= 1.5
    new["payment_type"] = np.where(random.random(4000) < 0.3, "Crypto", new["payment_type"])
    new.loc[random.random(4000) < 0.4, "trip_seconds"] = np.nan
    new.to_csv(tmp_path / "new.csv", index=False)
    report_file = tmp_path / "drift.json"
    done = drift(repository, taxi, tmp_path / "new.csv", "--output", report_file, "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    assert json.loads(done.stdout) == report
    assert (report["pipeline"], report["drifted"], report["examples"]) == ("taxi", True, 4000)
    drifted = {each["name"]: each["measure"] for each in report["features"] if each["drifted"]}
    assert drifted == {"trip_seconds": "missing", "payment_type": "unseen", "fare": "kolmogorov_smirnov"}
    assert report["features"][0]["name"] == "trip_seconds"
    allowed = ["--bound-of", "fare=0.5", "--bound-of", "payment_type=0.5", "--bound-of", "trip_seconds=0.5"]
    assert drift(repository, taxi, tmp_path / "new.csv", *allowed).returncode == 0
    statistics = Path(report["reference"]).parents[1]
    elsewhere = drift(repository, taxi, tmp_path / "new.csv", "--reference", statistics)
    assert elsewhere.returncode == 3


def test_bad_usage(repository: Path, taxi: Finished, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.head(10).to_csv(tmp_path / "new.csv", index=False)
    rows.head(0).to_csv(tmp_path / "empty.csv", index=False)
    for data, arguments, code, said in (
        ("no.csv", [], 2, "no.csv does not exist."),
        ("new.csv", ["--bound-of", "fare"], 2, "'fare' is no COLUMN=BOUND, such as fare=0.2."),
        ("new.csv", ["--bound-of", "tips=0.2"], 2, "the model reads no column tips."),
        ("new.csv", ["--reference", tmp_path], 2, "Expected what StatisticsGen leaves"),
        ("empty.csv", [], 1, "There are no rows to compare."),
    ):
        done = drift(repository, taxi, tmp_path / data, *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert said in done.stderr
    nothing = drift(repository, taxi, tmp_path / "new.csv", "--root", tmp_path, "--model", taxi.root)
    assert nothing.returncode == 2
    assert "Give the --root of its run, or --reference." in nothing.stderr
