"""A trial's command line and its reports; the points that the stand-in suggests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from google.cloud.aiplatform_v1 import StudySpec

from models.tuning.config import Objective
from models.tuning.objective import Judge
from models.tuning.space import Choice, Float, Int
from models.tuning.vizier_space import parameter_specs, values_from_trial
from pipeline.vertex.stand_in.suggesting import suggest
from pipeline.vertex.trial import Reports, main, suggested

SPACE = {
    "fit.learning_rate": Float(kind="float", min=1e-4, max=1e-1, scale="log"),
    "model.units": Int(kind="int", min=8, max=64),
    "model.activation": Choice(kind="choice", values=("relu", "tanh")),
    "model.dropout": Float(kind="float", min=0.0, max=0.5, when={"model.activation": ("relu",)}),
}


def test_command_line_is_read_in_both_of_its_forms() -> None:
    assert suggested(["--fit.learning_rate=0.01", "--model.units", "8"]) == [
        {"parameterId": "fit.learning_rate", "value": "0.01"},
        {"parameterId": "model.units", "value": "8"},
    ]


@pytest.mark.parametrize("arguments", [["fit=1"], ["--fit"]])
def test_something_else_on_it_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match=r"Expected --parameter=value, found"):
        suggested(arguments)


def test_trial_without_a_number_says_who_starts_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CLOUD_ML_TRIAL_ID", raising=False)
    with pytest.raises(SystemExit):
        main(["--problem", "p", "--results", "r"])
    assert "the environment has no CLOUD_ML_TRIAL_ID" in capsys.readouterr().err


def test_reports_have_the_form_that_vertex_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "var" / "output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(file))
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "4")
    reports = Reports(Judge(Objective(metric="log_loss", limits={"size_bytes": 1000}), "binary"))
    reports.write({"log_loss": 0.5, "size_bytes": 800.0}, 1)
    reports.write({"log_loss": 0.4, "size_bytes": 800.0}, 2)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["trial"], line["global_step"]) for line in lines] == [("4", "1"), ("4", "1"), ("4", "2"), ("4", "2")]
    assert lines[-1]["log_loss"] == "0.4"  # as the metric says it, though lower is better
    assert lines[-2]["size_bytes"] == "800.0"


def test_only_the_last_reports_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(tmp_path / "m"))
    reports = Reports(Judge(Objective(metric="auc"), "binary"))
    for epoch in range(150):
        reports.write({"auc": epoch / 1000}, epoch)
    lines = (tmp_path / "m").read_text().splitlines()
    assert (len(lines), json.loads(lines[-1])["auc"]) == (100, "0.149")


def test_suggested_points_are_of_the_space_conditions_included() -> None:
    specs = StudySpec.from_json(json.dumps({"parameters": parameter_specs(SPACE)})).parameters
    chance = random.Random(1)
    points = [suggest(specs, chance) for _ in range(50)]
    values = [values_from_trial([{"parameterId": name, "value": v} for name, v in point.items()], SPACE) for point in points]
    assert {value["model.activation"] for value in values} == {"relu", "tanh"}
    assert all(("model.dropout" in value) == (value["model.activation"] == "relu") for value in values)
    assert all(1e-4 <= value["fit.learning_rate"] <= 1e-1 for value in values)
    below = sum(value["fit.learning_rate"] < 10**-2.5 for value in values)
    assert 15 <= below <= 35  # half of them: drawn on a logarithmic scale
