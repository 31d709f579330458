"""Importances of hyperparameters against functions whose importances are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.tuning.report.importance import MIN_TRIALS, RELIABLE_R2, importances
from models.tuning.space import Choice, Float, Int, Space, active
from models.tuning.trials import Trial

UNIT = {"model.a": Float(min=0, max=1), "model.b": Float(min=0, max=1), "model.c": Float(min=0, max=1)}


def searched(space: Space, score: Callable[[dict[str, Any]], float], number: int = 60, seed: int = 1) -> list[Trial]:
    """Return trials drawn evenly over a space, with the scores of a function."""
    random, trials = np.random.default_rng(seed), []
    for n in range(number):
        drawn = {name: _drawn(parameter, random) for name, parameter in space.items()}
        values = active(space, drawn)
        trials.append(Trial(f"{n:04}", values, 5, state="finished", score=score(values)))
    return trials


def _drawn(parameter: Any, random: np.random.Generator) -> Any:
    if isinstance(parameter, Choice):
        return parameter.values[random.integers(len(parameter.values))]
    if isinstance(parameter, Int):
        return int(random.integers(parameter.min, parameter.max + 1))
    if parameter.scale == "log":
        return float(np.exp(random.uniform(np.log(parameter.min), np.log(parameter.max))))
    return float(random.uniform(parameter.min, parameter.max))


def test_shares_are_those_of_the_variance():
    found = importances(searched(UNIT, lambda v: 10 * v["model.a"] + v["model.b"], 200), UNIT)
    # Of 10a + b over a square the variance is 100/12 and 1/12.
    assert found.shares == pytest.approx({"model.a": 100 / 101, "model.b": 1 / 101, "model.c": 0.0}, abs=0.01)
    assert list(found.shares) == ["model.a", "model.b", "model.c"]
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.r2 is not None
    assert found.r2 > 0.95
    assert found.reliable


def test_equal_effects_get_equal_shares():
    found = importances(searched(UNIT, lambda v: v["model.a"] + v["model.b"], 300), UNIT)
    assert found.shares["model.a"] == pytest.approx(0.5, abs=0.08)
    assert found.shares["model.c"] < 0.02


def test_interaction_counts_for_both():
    found = importances(searched(UNIT, lambda v: float((v["model.a"] > 0.5) == (v["model.b"] > 0.5)), 300), UNIT)
    assert found.shares["model.a"] == pytest.approx(0.5, abs=0.1)
    assert found.shares["model.b"] == pytest.approx(0.5, abs=0.1)


def test_log_scale_counts_each_order_of_magnitude_alike():
    space = {"fit.rate": Float(min=1e-5, max=1, scale="log"), "model.b": Float(min=0, max=1)}
    found = importances(searched(space, lambda v: float(np.log10(v["fit.rate"])) / 5 + v["model.b"], 200), space)
    assert found.shares["fit.rate"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("values", [("a", "b", "c", "d"), ([8], [8, 4], [16, 8], [4]), (16, 8, 64, 32), (True, False)])
def test_choice_is_one_parameter_whatever_its_values_are(values: tuple[Any, ...]):
    space = {"model.kind": Choice(values=values), "model.b": Float(min=0, max=1)}
    good = values[0]
    found = importances(searched(space, lambda v: 3.0 * (v["model.kind"] == good) + 0.5 * v["model.b"], 120), space)
    assert set(found.shares) == {"model.kind", "model.b"}
    assert found.shares["model.kind"] > 0.9


def test_parameter_that_is_only_sometimes_there_does_not_get_the_effect_of_what_it_depends_on():
    space = {
        "fit.optimizer": Choice(values=("sgd", "adam")),
        "fit.momentum": Float(min=0, max=1, when={"fit.optimizer": ["sgd"]}),
        "fit.decay": Float(min=0, max=1, when={"fit.optimizer": ["adam"]}),
    }
    found = importances(searched(space, lambda v: float(v["fit.optimizer"] == "adam"), 100), space)
    assert found.shares["fit.optimizer"] > 0.99


def test_parameter_that_is_only_sometimes_there_gets_its_own_effect():
    space = {
        "fit.optimizer": Choice(values=("sgd", "adam")),
        "fit.momentum": Float(min=0, max=1, when={"fit.optimizer": ["sgd"]}),
        "model.c": Float(min=0, max=1),
    }
    found = importances(searched(space, lambda v: v.get("fit.momentum", 0.5), 200), space)
    # Its effect is there for sgd alone, so the optimizer decides whether there is one: total effects 2/3 and 1/3.
    assert found.shares["fit.momentum"] > 0.6
    assert found.shares["model.c"] < 0.05


def test_shares_do_not_depend_on_where_the_search_looked():
    trials = searched(UNIT, lambda v: v["model.a"] + v["model.b"], 300)
    near = [t for t in trials if t.values["model.a"] > 0.4 or int(t.id) % 4 == 0]
    assert importances(near, UNIT).shares["model.a"] == pytest.approx(0.5, abs=0.12)


def test_noise_is_called_unreliable():
    random = np.random.default_rng(2)
    found = importances(searched(UNIT, lambda v: float(random.normal()), 40), UNIT)
    assert found.r2 is not None
    assert found.r2 < RELIABLE_R2
    assert not found.reliable


def test_diverged_trial_does_not_hide_the_others():
    trials = searched(UNIT, lambda v: 10 * v["model.a"], 60)
    lost = Trial("lost", {"model.a": 0.5, "model.b": 0.5, "model.c": 0.01}, 5, state="finished", score=-1e9)
    assert importances([*trials, lost], UNIT).shares["model.a"] > 0.9


def test_length_of_training_takes_no_share_and_explains_its_part():
    trials = searched(UNIT, lambda v: v["model.a"], 80)
    brackets = [
        Trial(t.id, t.values, 2 if n % 2 else 18, state="finished", score=(t.score or 0) + 9 * (n % 2))
        for n, t in enumerate(trials)
    ]
    found = importances(brackets, UNIT)
    assert set(found.shares) == set(UNIT)
    assert found.shares["model.a"] > 0.9


def test_survivors_of_hyperband_failures_and_what_the_space_does_not_hold_do_not_count():
    trials = searched(UNIT, lambda v: v["model.a"], 20)
    others = [
        Trial("0100", trials[0].values, 9, parent="0000", state="finished", score=5.0),
        Trial("0101", trials[0].values, 9, state="failed", error="Killed"),
        Trial("0102", trials[0].values, 9, state="infeasible", score=9.0),
        Trial("0103", trials[0].values, 9, state="finished", score=float("nan")),
        Trial("config", trials[0].values | {"model.a": 7.0}, 9, state="finished", score=3.0),
    ]
    assert importances([*trials, *others], UNIT) == importances(trials, UNIT)
    assert importances(trials, UNIT).num_trials == 20


@pytest.mark.parametrize("number", [0, 1, MIN_TRIALS - 1])
def test_too_few_trials_have_no_importances(number: int):
    found = importances(searched(UNIT, lambda v: v["model.a"], number), UNIT)
    assert (found.shares, found.r2, found.num_trials, found.reliable) == ({}, None, number, False)


def test_equal_scores_have_no_importances():
    assert importances(searched(UNIT, lambda v: 1.0, 30), UNIT).shares == {}


def test_same_trials_give_the_same_importances():
    trials = searched(UNIT, lambda v: v["model.a"] * v["model.b"], 30)
    assert importances(trials, UNIT) == importances(trials, UNIT)
