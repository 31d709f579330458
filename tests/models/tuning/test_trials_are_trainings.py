"""A trial is a training like the Trainer's: the same code, the same numbers, also in parts."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import distribution, in_memory
from models.experiment import Experiment
from models.fit_config import FitConfig
from models.heads import Head
from models.metrics import evaluate
from models.tuning.config import Objective, TunerConfig
from models.tuning.objective import Judge
from models.tuning.running import Material, Outcome, Request, Runner, Setting
from models.tuning.search import Problem, search
from models.tuning.space import Choice, Float
from models.tuning.trials import CONFIG_TRIAL, Learnt
from preprocessing.features import EncodedFeature

FEATURES = (EncodedFeature("fare_xf", "fare"), EncodedFeature("company_xf", "company", num_ids=10))
HEAD = Head("binary", 2)
MODEL = {"embedding_dim": 2, "numeric_units": 4, "hidden": [8, 8], "dropout": 0.3}
FIT = FitConfig(epochs=6, batch_size=32, learning_rate=0.02)
VALUES = {"fit.learning_rate": 0.05, "model.hidden": [16]}


def split(seed: int, number: int) -> in_memory.Split:
    random = np.random.default_rng(seed)
    fare, company = random.normal(size=(number, 1)).astype(np.float32), random.integers(0, 10, (number, 1)).astype(np.int32)
    labels = ((fare + 0.7 * random.normal(size=fare.shape) > 0) ^ (company > 6)).astype(np.int64)
    blocks = (in_memory.Block(("fare_xf",), (1,), fare), in_memory.Block(("company_xf",), (1,), company))
    return in_memory.Split(blocks, labels)


@dataclass(frozen=True)
class Source:
    """Two small splits."""

    def load(self) -> Material:
        return Material(split(1, 320), split(2, 200), FEATURES, HEAD)


def setting(objective: Objective | None = None, keeps_checkpoints: bool = False) -> Setting:
    return Setting("models.tabular", MODEL, FIT, Judge(objective or Objective(), "binary"), ("log_loss",), keeps_checkpoints)


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(setting(), Source())


def go_on(epoch: int, metrics: dict[str, float]) -> None:
    """Have a trial go on."""


def trained_alone(model: dict[str, Any], fit: FitConfig) -> dict[str, float]:
    """Return the metrics of a training without a search."""
    strategy, _ = distribution.choose("one_device")
    material = Source().load()
    trained, _ = Experiment("models.tabular", model, fit, FEATURES, HEAD).train(
        material.train, material.evaluation.dataset(64), strategy
    )
    ((features, labels),) = material.evaluation.dataset(200)
    return evaluate("binary", ("auc", "log_loss"), labels.numpy(), trained(features).numpy())


def metrics_of(outcome: Outcome) -> dict[str, float]:
    return {name: outcome.metrics[name] for name in ("auc", "log_loss")}


def test_trial_comes_to_what_a_training_with_its_values_comes_to(runner: Runner, tmp_path: Path):
    runner.run(Request("0001", {"model.dropout": 0.0}, 2, str(tmp_path)), go_on)  # what ran before leaves no trace
    outcome = runner.run(Request("0002", VALUES, FIT.epochs, str(tmp_path)), go_on)
    alone = trained_alone({**MODEL, "hidden": [16]}, FIT.model_copy(update={"learning_rate": 0.05}))
    assert metrics_of(outcome) == pytest.approx(alone, abs=1e-6)
    assert alone != pytest.approx(trained_alone(MODEL, FIT), abs=1e-3)


def test_metrics_and_costs_are_reported(runner: Runner, tmp_path: Path):
    told: list[tuple[int, dict[str, float]]] = []
    outcome = runner.run(Request("0001", VALUES, 3, str(tmp_path)), lambda epoch, metrics: told.append((epoch, metrics)))
    # 2 x 10 for the embedding, 1 x 4 + 4 for the numbers, 6 x 16 + 16, 16 + 1.
    assert outcome.metrics["parameters"] == 20 + 8 + 112 + 17
    assert outcome.metrics["size_bytes"] == 4 * outcome.metrics["parameters"]
    assert [epoch for epoch, _ in told] == [0, 1, 2, 3]
    assert sorted(told[0][1]) == ["parameters", "size_bytes"]
    assert [metrics["auc"] for _, metrics in told[1:]] == outcome.course["auc"]
    assert sorted(outcome.course) == ["auc", "eval_loss", "log_loss", "loss"]
    assert outcome.epochs == 3
    # Of the best epoch's weights, by the eval loss.
    assert outcome.metrics["auc"] == outcome.course["auc"][int(np.argmin(outcome.course["eval_loss"]))]


def test_trial_stops_when_told_and_keeps_its_best_weights(runner: Runner, tmp_path: Path):
    outcome = runner.run(Request("0001", VALUES, 6, str(tmp_path)), lambda epoch, metrics: "enough" if epoch == 2 else None)
    assert (outcome.stopped, outcome.epochs) == ("enough", 2)
    assert outcome.metrics["auc"] in outcome.course["auc"]


def test_model_that_is_refused_is_not_trained(runner: Runner, tmp_path: Path):
    outcome = runner.run(Request("0001", VALUES, 6, str(tmp_path)), lambda epoch, metrics: "too large")
    assert (outcome.stopped, outcome.epochs, outcome.course) == ("too large", 0, {})
    assert sorted(outcome.metrics) == ["parameters", "seconds", "size_bytes"]


def test_trial_that_goes_on_from_another_ends_like_one_that_was_never_cut(tmp_path: Path):
    runner = Runner(setting(keeps_checkpoints=True), Source())
    short = runner.run(Request("a", VALUES, 2, str(tmp_path / "a")), go_on)
    longer = runner.run(Request("b", VALUES, 6, str(tmp_path / "b"), str(tmp_path / "a"), short.course), go_on)
    whole = runner.run(Request("c", VALUES, 6, str(tmp_path / "c")), go_on)
    assert (short.epochs, longer.epochs, whole.epochs) == (2, 4, 6)
    assert longer.course == whole.course
    assert metrics_of(longer) == metrics_of(whole)
    # The shorter one's checkpoint is still there, for another to go on with.
    again = runner.run(Request("d", VALUES, 6, str(tmp_path / "d"), str(tmp_path / "a"), short.course), go_on)
    assert again.course == whole.course


def test_values_that_the_model_refuses_are_an_error(runner: Runner, tmp_path: Path):
    with pytest.raises(ValueError, match="Input should be less than 1"):
        runner.run(Request("0001", {"model.dropout": 1.0}, 2, str(tmp_path)), go_on)


SPACE = {
    "fit.learning_rate": Float(min=1e-3, max=1e-1, scale="log"),
    "model.hidden": Choice(values=([8, 8], [16], [8])),
}


@pytest.mark.parametrize("algorithm", ["bayesian", "hyperband"])
def test_search_with_two_workers_takes_what_the_trainer_gets_the_same_metrics_with(algorithm: str, tmp_path: Path):
    config = TunerConfig.model_validate({"algorithm": algorithm, "budget": {"trials": 6}, "workers": 2})
    problem = Problem(config, SPACE, setting(keeps_checkpoints=algorithm == "hyperband"), Source(), str(tmp_path))
    learnt = searched_apart(problem)
    best = learnt.trial(learnt.best)
    assert best.full
    experiment = problem.setting.experiment(best.values, Source().load())
    assert {name: best.metrics[name] for name in ("auc", "log_loss")} == pytest.approx(
        trained_alone(experiment.model, experiment.fit), abs=1e-6
    )
    assert (best.score or 0) >= (learnt.trial(CONFIG_TRIAL).score or 0)


def searched_apart(problem: Problem) -> Learnt:
    """Search in a process that has run no TensorFlow, as the Tuner's has not: those that it forks would hang."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(search, problem).result(300)
