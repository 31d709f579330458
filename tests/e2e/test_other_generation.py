"""A model that one generation of TFX trained is served and compressed by the other, both ways.

`make test-current` has both: it names the other one's Python in OTHER_PYTHON, a program that has the project in its working
folder and finds what tests write under the same paths.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_pipeline import write_config

OTHER = os.environ.get("OTHER_PYTHON", "")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not OTHER, reason="There is one generation of TFX here; `make test-current` has both."),
]
RECIPES = {"recipes": ["float16", "int8", ["prune", "int8"]], "gates": {"metric": "auc", "max_loss": 0.05}}


@pytest.fixture(scope="module", params=["own", "other"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one of the generations made: config, data and root."""
    made = tmp_path_factory.mktemp(request.param)
    write_config(made, compression=RECIPES)
    exchange(sys.executable if request.param == "own" else OTHER, "run", made)
    return made


def exchange(python: str, verb: str, *places: Path) -> None:
    script = Path(__file__).with_name("exchange.py")
    root = Path(__file__).resolve().parents[2]
    # The other one has a copy of the project in its working folder.
    command = [python, str(script if python == sys.executable else script.relative_to(root)), verb, *map(str, places)]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def left(folder: Path) -> tuple[Path, Path]:
    """What this generation and the other one left of the same models."""
    for python, name in ((sys.executable, "by-own"), (OTHER, "by-other")):
        exchange(python, "use", folder, folder / name)
    return folder / "by-own", folder / "by-other"


def scores(file: Path) -> np.ndarray:
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    numbers = [name for name in rows[0] if name.startswith("score")]
    return np.array([[float(row[name]) for name in numbers] for row in rows])


@pytest.mark.parametrize(("name", "tolerance"), [("scores.csv", 1e-5), ("edge_scores.csv", 5e-3)])
def test_pushed_models_give_the_same_scores_in_both(left: tuple[Path, Path], name: str, tolerance: float) -> None:
    own, other = (scores(place / name) for place in left)
    assert own.shape == other.shape
    assert len(own) == 600
    np.testing.assert_allclose(other, own, atol=tolerance)


def test_keras_model_is_compressed_to_the_same_size_and_score_in_both(left: tuple[Path, Path]) -> None:
    reports = [json.loads((place / "report.json").read_text())["variants"] for place in left]
    names = [[variant["name"] for variant in report] for report in reports]
    assert names[0] == names[1] == ["float32", "float16", "int8", "prune-int8"]
    for own, other in zip(*reports, strict=True):
        assert (own["error"], other["error"]) == (None, None)
        assert other["size_bytes"] == pytest.approx(own["size_bytes"], rel=0.02), own["name"]
        assert other["metrics"]["auc"] == pytest.approx(own["metrics"]["auc"], abs=0.02), own["name"]
