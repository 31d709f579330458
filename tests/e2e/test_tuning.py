"""The Tuner in a pipeline: the Trainer takes what it found, later runs take it again, and a killed search goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from faulty_runs import fault, run_harmed
from pipeline_runs import Finished, run_here
from small_pipeline import COMPRESSION, write_config

pytestmark = pytest.mark.e2e

TUNER: dict[str, Any] = {
    "algorithm": "bayesian",
    "objective": "log_loss",
    "budget": {"trials": 6},
    "workers": 2,
    "space": {
        "fit.learning_rate": {"kind": "float", "min": 0.003, "max": 0.1, "scale": "log"},
        "model.hidden": {"kind": "choice", "values": [[16, 8], [32, 16], [64]]},
        "fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]},
        "fit.weight_decay": {"kind": "float", "min": 1.0e-5, "max": 1.0e-2, "scale": "log", "when": {"fit.optimizer": "adamw"}},
    },
}


def trials(finished: Finished) -> list[dict[str, Any]]:
    """Return the trials of the newest search of a root."""
    return json.loads((finished.folder("Tuner", "tuner_results") / "tuning.json").read_text())["learnt"]["trials"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("tuning"), tuner=TUNER, **COMPRESSION)


@pytest.fixture(scope="module")
def tuned(config: Path) -> Finished:
    return run_here(config, config.parent / "root")


def test_tuned_run_pushes_a_model_at_least_as_good_as_the_untuned_one(config: Path, tuned: Finished, tmp_path: Path) -> None:
    assert tuned.code == 0, tuned.output
    untuned = run_here(config, tmp_path / "root", "tuner=null", "compression=null", last="Evaluator")
    assert untuned.code == 0, untuned.output
    tuning = tuned.summary["tuning"]
    report = json.loads((untuned.folder("Trainer", "model") / "training.json").read_text())
    # What the search says of the config's own values is what a run without a search comes to.
    (own,) = (trial for trial in trials(tuned) if trial["id"] == "config")
    assert own["course"]["eval_loss"] == pytest.approx(report["eval_loss"], abs=1e-6)
    (best,) = (trial for trial in trials(tuned) if trial["id"] == tuning["best"]["id"])
    assert best["score"] >= own["score"]
    assert tuning["improved"] == (best["score"] > own["score"])


def test_trainer_takes_the_best_values_and_gets_the_same_metrics(tuned: Finished) -> None:
    tuning = tuned.summary["tuning"]
    (best,) = (trial for trial in trials(tuned) if trial["id"] == tuning["best"]["id"])
    report = json.loads((tuned.folder("Trainer", "model") / "training.json").read_text())
    for place, value in best["values"].items():
        section, _, key = place.partition(".")
        assert report[section][key] == value
    assert report["eval_loss"] == pytest.approx(best["course"]["eval_loss"], abs=1e-6)
    assert tuned.summary["metrics"]["candidate"]["auc"] == pytest.approx(best["metrics"]["auc"], abs=1e-5)
    # The edge model is made of the tuned one, by its settings.
    assert tuned.summary["edge"]["reference"]["metrics"]["auc"] == pytest.approx(best["metrics"]["auc"], abs=1e-4)


def test_summary_says_what_was_learnt(tuned: Finished) -> None:
    tuning = tuned.summary["tuning"]
    assert tuning["reused"] is False
    assert tuning["algorithm"] == "bayesian"
    assert tuning["objective"] == "log_loss"
    assert len(trials(tuned)) == 6
    assert set(tuning["importances"]["shares"]) <= set(TUNER["space"])
    folder = tuned.folder("Tuner", "tuner_results")
    assert {"tuning.json", "trials.csv", "epochs.csv", "report.html", "summary.json"} <= {
        path.name for path in folder.iterdir()
    }


def test_hyperparameters_can_be_read_by_kerastuner(tuned: Finished) -> None:
    from keras_tuner import HyperParameters

    content = json.loads((tuned.folder("Tuner", "best_hyperparameters") / "best_hyperparameters.txt").read_text())
    read = HyperParameters.from_config(content)
    assert {hp.name for hp in read.space} == set(TUNER["space"])
    assert content["config_values"] == tuned.summary["tuning"]["values"]


def test_nothing_is_searched_again_where_nothing_changed(config: Path, tuned: Finished) -> None:
    again = run_here(config, tuned.root)
    assert again.code == 0, again.output
    assert (again.states["Tuner"], again.states["Trainer"]) == ("reused", "reused")
    assert again.summary["tuning"] == tuned.summary["tuning"]


def test_later_run_takes_what_was_found_without_searching(config: Path, tuned: Finished) -> None:
    later = run_here(config, tuned.root, "tuner.reuse=latest", "fit.batch_size=64", last="Trainer")
    assert later.code == 0, later.output
    assert "Tuner" not in later.states
    assert (later.states["LatestSearch"], later.states["Trainer"]) == ("ran", "ran")
    tuning = later.summary["tuning"]
    assert tuning["reused"] is True
    assert tuning["values"] == tuned.summary["tuning"]["values"]
    report = json.loads((later.folder("Trainer", "model") / "training.json").read_text())
    assert report["fit"]["batch_size"] == 64
    for place, value in tuning["values"].items():
        section, _, key = place.partition(".")
        assert report[section][key] == value


def test_first_run_with_reuse_searches(config: Path, tmp_path: Path) -> None:
    first = run_here(config, tmp_path / "root", "tuner.reuse=latest", "tuner.budget.trials=2", last="Tuner")
    assert first.code == 0, first.output
    assert first.states["Tuner"] == "ran"


def test_values_of_a_search_for_another_model_are_refused_with_the_cure(config: Path, tuned: Finished, tmp_path: Path) -> None:
    content = json.loads((tuned.folder("Tuner", "best_hyperparameters") / "best_hyperparameters.txt").read_text())
    from pipeline.entrypoints.training import TrainSettings

    settings = TrainSettings.model_validate(
        {
            "model_module": "models.tabular",
            "model": {},
            "features": {"fare": {"kind": "numeric"}},
            "label": {"kind": "binary", "column": "tipped"},
            "fit": {},
            "metrics": ["auc"],
            "strategy": "auto",
        }
    )
    with pytest.raises(
        ValueError,
        match=r"do not fit `model:` and `fit:`: filters: Extra inputs are not permitted\. Search anew with `tuner.reuse: never",
    ):
        settings.tuned(content | {"config_values": {"model.filters": 3}})


def test_killed_search_goes_on_and_runs_no_finished_trial_again(config: Path, repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    harm = fault("models.tuning.journal:Journal.write", count=6)
    harmed = run_harmed(repository, config, root, harm, "--to", "Tuner", "--set", "tuner.workers=1")
    assert harmed.code == -9
    journals = list((root / "artifacts" / "Tuner" / ".system" / "checkpoints").glob("*/journal"))
    assert len(journals) == 1
    before = [json.loads(path.read_text()) for path in sorted(journals[0].glob("*.json"))]
    assert len(before) == 5
    done = run_here(config, root, "tuner.workers=1", last="Tuner")
    assert done.code == 0, done.output
    ended = [event["trial"] for event in before if event["event"] == "ended"]
    found = {trial["id"]: trial for trial in trials(done)}
    assert len(found) == 6
    for trial in ended:
        # Seconds tell an old result from one that was computed again.
        assert found[trial["id"]]["seconds"] == trial["seconds"]
        assert found[trial["id"]]["score"] == trial["score"]
    assert not journals[0].exists()  # the stage is done
