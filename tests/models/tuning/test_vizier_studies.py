"""What a search is beside its space, as Vertex AI takes it: objective, algorithm, stopping, counts."""

from __future__ import annotations

from typing import Any

import pytest
from vizier_messages import RATE, Parsed, config

from models.tuning.space import Float, Int
from models.tuning.vizier import study_spec, tuning_job


@pytest.mark.parametrize(
    ("objective", "kind", "expected"),
    [
        ({}, "binary", [{"metricId": "auc", "goal": "MAXIMIZE"}]),
        ({"metric": "log_loss"}, "multiclass", [{"metricId": "log_loss", "goal": "MINIMIZE"}]),
        ({}, "regression", [{"metricId": "rmse", "goal": "MINIMIZE"}]),
        ({"weights": {"auc": 1, "size_bytes": 1e-7}}, "binary", [{"metricId": "score", "goal": "MAXIMIZE"}]),
        (
            {"limits": {"size_bytes": 2e5, "accuracy": 0.9, "auc": 0.8}},
            "binary",
            [
                {"metricId": "auc", "goal": "MAXIMIZE"},
                {"metricId": "size_bytes", "goal": "MINIMIZE", "safetyConfig": {"safetyThreshold": 2e5}},
                {"metricId": "accuracy", "goal": "MAXIMIZE", "safetyConfig": {"safetyThreshold": 0.9}},
            ],
        ),
    ],
)
def test_objective_says_which_way_is_better(
    objective: dict[str, Any], kind: Any, expected: list[dict[str, Any]], parsed: Parsed
):
    spec = study_spec(config(objective=objective), RATE, kind)
    assert spec["metrics"] == expected
    assert parsed("StudySpec", spec)["metrics"] == expected


def test_unknown_metric_is_refused():
    with pytest.raises(ValueError, match=r"tuner\.objective\.metric: unknown metric 'auc'"):
        study_spec(config(objective="auc"), RATE, "regression")


@pytest.mark.parametrize(("algorithm", "expected"), [("random", "RANDOM_SEARCH"), ("grid", "GRID_SEARCH"), ("bayesian", None)])
def test_algorithm_has_vertexs_name(algorithm: str, expected: str | None, parsed: Parsed):
    spec = study_spec(config(algorithm=algorithm), RATE, "binary")
    assert spec.get("algorithm") == expected
    assert parsed("StudySpec", spec).get("algorithm") == expected


def test_hyperband_is_refused_with_the_cure():
    expected = r"tuner\.algorithm: Vizier has no hyperband\. Expected one of: random, grid, bayesian\. With bayesian"
    with pytest.raises(ValueError, match=expected):
        study_spec(config(algorithm="hyperband"), RATE, "binary")


def test_grid_search_takes_no_doubles():
    space = {
        "fit.rate": Float(min=1e-4, max=0.1, scale="log"),
        "model.dropout": Float(min=0.0, max=0.9),
        "model.l2": Float(min=0.0, max=0.4, step=0.2),
        "model.units": Int(min=1, max=1000, scale="log"),
        "model.layers": Int(min=1, max=4),
    }
    specs = {spec["parameterId"]: spec for spec in study_spec(config(algorithm="grid"), space, "binary")["parameters"]}
    assert specs["fit.rate"]["discreteValueSpec"]["values"] == pytest.approx([1e-4 * 1000 ** (n / 9) for n in range(10)])
    assert specs["model.dropout"]["discreteValueSpec"]["values"] == pytest.approx([n / 10 for n in range(10)])
    assert specs["model.l2"]["discreteValueSpec"]["values"] == pytest.approx([0.0, 0.2, 0.4])
    assert specs["model.units"]["discreteValueSpec"]["values"] == [1, 2, 5, 10, 22, 46, 100, 215, 464, 1000]
    assert specs["model.layers"]["integerValueSpec"] == {"minValue": "1", "maxValue": "4"}


def test_early_stopping_is_by_epochs_and_can_be_left_out(parsed: Parsed):
    assert study_spec(config(), RATE, "binary")["medianAutomatedStoppingSpec"] == {"useElapsedDuration": False}
    assert "medianAutomatedStoppingSpec" in parsed("StudySpec", study_spec(config(), RATE, "binary"))
    assert not any("Stopping" in key for key in study_spec(config(early_stopping=None), RATE, "binary"))


def test_last_measurement_counts_as_it_is_that_of_the_best_weights(parsed: Parsed):
    spec = parsed("StudySpec", study_spec(config(), RATE, "binary"))
    assert spec["measurementSelectionType"] == "LAST_MEASUREMENT"


def test_minutes_end_the_study(parsed: Parsed):
    spec = parsed("StudySpec", study_spec(config(budget={"minutes": 90}), RATE, "binary"))
    assert spec["studyStoppingConfig"] == {"shouldStopAsap": True, "maximumRuntimeConstraint": {"maxDuration": "5400s"}}


def test_budget_of_epochs_is_refused():
    with pytest.raises(ValueError, match=r"tuner\.budget\.epochs: Vizier counts trials and time\. Give trials or minutes"):
        study_spec(config(budget={"epochs": 100}), RATE, "binary")


@pytest.mark.parametrize(
    ("changes", "parallel", "expected"),
    [
        ({}, 4, {"maxTrialCount": 20, "parallelTrialCount": 4, "maxFailedTrialCount": 4}),
        (
            {"workers": 3, "budget": {"trials": 50, "failed_trials": 0}},
            8,
            {"maxTrialCount": 50, "parallelTrialCount": 3, "maxFailedTrialCount": 1},
        ),
        ({"budget": {"trials": 2}}, 8, {"maxTrialCount": 2, "parallelTrialCount": 2, "maxFailedTrialCount": 4}),
    ],
)
def test_job_counts_trials(changes: dict[str, Any], parallel: int, expected: dict[str, int], parsed: Parsed):
    job = tuning_job(config(**changes), RATE, "binary", parallel)
    assert job["studySpec"] == study_spec(config(**changes), RATE, "binary")
    read = parsed("HyperparameterTuningJob", job)
    assert {key: value for key, value in read.items() if key != "studySpec"} == expected


def test_job_needs_a_number_of_trials():
    with pytest.raises(ValueError, match=r"tuner\.budget\.trials: Vertex AI needs a number of trials, found none\."):
        tuning_job(config(budget={"trials": None, "minutes": 5}), RATE, "binary")
