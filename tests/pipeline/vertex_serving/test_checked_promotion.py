"""A canary is promoted when it answers what the pushed model answers, and not else."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_models import ModelService

from pipeline.predicting.pushed import Column, PushedModel
from pipeline.vertex import canary, examples, serving_commands
from pipeline.vertex.canary import Answer, Bounds, Probed, judge, scores_of
from pipeline.vertex.serving_commands import CheckOptions

ROWS = [{"fare": 12.5, "company": "Flash"}, {"fare": 3}]
SCORES = [[0.25, 0.75], [0.5, 0.5]]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the checks read of a pushed model; TensorFlow, which gives its scores, is left out."""
    folder = tmp_path / "model"
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    columns = {"fare": {"type": "number", "required": True}, "company": {"type": "text", "required": False}}
    described = {"columns": columns, "classes": ["no", "yes"], "label": "tips", "schema_version": 1}
    (folder / "assets.extra" / "raw_features.json").write_text(json.dumps(described))
    monkeypatch.setattr(serving_commands, "_expected", lambda model, columns: np.array(SCORES)[: len(columns["fare"])])
    return folder


@pytest.fixture
def promote(runtime_file: Path, model: Path, tmp_path: Path, champion: None, deploy: Callable[..., int]) -> Callable[..., int]:
    """Promote version 2, which has 10 % of the traffic, after checks with ROWS."""
    assert deploy() == 0
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def checked(**bounds: float) -> int:
        options = CheckOptions(file, str(model), Bounds(**bounds))  # type: ignore[arg-type]
        return serving_commands.promote(runtime_file, None, options, False)

    return checked


def answering(scores: Any) -> Callable[..., list[Any]]:
    """Version 1 answers nonsense, which must not be taken for the canary's."""
    rows = [{"scores": row, "classes": ["no", "yes"]} for row in scores]
    return lambda version, instances: rows if version == "2" else ["nonsense" for _ in instances]


def test_canary_that_answers_as_the_model_does_is_promoted(
    service: ModelService, promote: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    service.predict = answering(SCORES)
    capsys.readouterr()
    assert promote() == 0
    assert service.split == {"1": 0, "2": 100}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("passed  requests without an error: 0 of ")
    assert lines[2] == "passed  shape of the scores: (2, 2) ((2, 2))"
    assert lines[5] == "passed  difference from the pushed model: 0 (<= 0.001)"
    bodies = service.sent("Predict")
    assert len(bodies) >= 5 * 100 / 10 - 20
    first = base64.b64decode(bodies[0]["instances"][0]["examples"]["b64"])
    assert b"company" in first
    assert b"Flash" in first


@pytest.mark.parametrize(
    ("scores", "failed"),
    [
        ([[0.25, 0.75], [0.49, 0.51]], "FAILED  difference from the pushed model: 0.01 (<= 0.001)"),
        ([[0.25, 0.75], [None, 0.5]], "FAILED  scores that are no finite numbers: 5 (0)"),
        ([[0.25], [0.5]], "FAILED  shape of the scores: (2, 1) ((2, 2))"),
        ([[0.25, 0.75]], "FAILED  shape of the scores: (1, 2) ((2, 2))"),
        (["a", "b"], "FAILED  shape of the scores: no table of numbers ((2, 2))"),
    ],
)
def test_canary_that_does_not_is_not_promoted(
    service: ModelService, promote: Callable[..., int], capsys: pytest.CaptureFixture[str], scores: Any, failed: str
) -> None:
    service.predict = answering(scores)
    before = list(service.changes)
    assert promote() == 3
    assert failed in capsys.readouterr().out.splitlines()
    assert service.split == {"1": 90, "2": 10}
    assert service.changes == before


def test_errors_of_the_endpoint_fail_the_check(
    service: ModelService, promote: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    service.predict = answering(SCORES)
    service.fail_next("Predict", 400, "Could not parse example input")
    assert promote() == 3
    assert "Could not parse example input (0 errors)" in capsys.readouterr().out
    assert service.split == {"1": 90, "2": 10}


def test_slow_canary_is_not_promoted(service: ModelService, promote: Callable[..., int]) -> None:
    service.predict = answering(SCORES)
    assert promote(latency_ms=1e-6) == 3


def test_canary_without_traffic_cannot_be_checked(
    service: ModelService,
    promote: Callable[..., int],
    deploy: Callable[..., int],
    runtime_file: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deploy(None, 0)
    assert serving_commands.promote(runtime_file, "2", CheckOptions(None, str(model), Bounds()), False) == 2
    assert "Version 2 has no traffic, and an endpoint answers by its traffic alone" in capsys.readouterr().err


def test_canary_that_never_answers_ends_the_probe() -> None:
    class Other:
        deployed_model_id = "1"

    probed = canary.probe(Other, "2", 50, 5)
    assert probed == Probed([], 60, [])
    checks = judge(probed, 1, 0, None, Bounds())
    assert [(check.value, check.passed) for check in checks] == [("0 of 60", True), ("0 of 60 requests", False)]


def test_regression_is_one_number_a_row() -> None:
    answers = [Answer([1.5, 2.5], 0.01)] * 5
    checks = judge(Probed(answers, 5, []), 2, 0, np.array([[1.5], [2.5]]), Bounds())
    assert all(check.passed for check in checks)
    assert len(checks) == 6
    assert scores_of([{"predictions": 1.0}, {"predictions": None}])[1, 0] is not None
    assert math.isnan(scores_of([{"predictions": 1.0}, {"predictions": None}])[1, 0])


def test_rows_that_the_model_cannot_read_are_named(tmp_path: Path) -> None:
    model = PushedModel("m", "SavedModel", {"fare": Column("number", True)}, ())
    with pytest.raises(ValueError, match=r'--checks: row 2: fare: holds \["x"\]\. The model reads numbers there\.'):
        examples.columns_of([{"fare": 1}, {"fare": ["x"]}], model)
    with pytest.raises(ValueError, match="--checks: a row has no fare, which the model requires"):
        examples.columns_of([{"fare": 1}, {}], model)
    assert examples.neutral_rows(model) == [{"fare": 0.0}, {"fare": 0.0}]
    file = tmp_path / "rows.jsonl"
    file.write_text("[1]\n")
    with pytest.raises(ValueError, match="Expected 1 to 100, each an object"):
        examples.read_rows(file)
