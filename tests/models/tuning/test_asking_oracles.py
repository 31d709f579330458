"""KerasTuner's oracles as a search asks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_search import EPOCHS, quality, space

from models.tuning.bayesian import without_outliers
from models.tuning.config import TunerConfig
from models.tuning.oracles import Asked, Proposal, kerastuner_config
from models.tuning.space import Space, Values, active, holds

OWN: Values = {
    "fit.learning_rate": 0.001,
    "model.dropout": 0.3,
    "model.embedding_dim": 4,
    "fit.optimizer": "adamw",
    "fit.weight_decay": 1e-4,
    "model.hidden": [128, 64],
}


def asked(searched: Space | None = None, seed: int = 1, **tuner: Any) -> Asked:
    config = TunerConfig.model_validate({"seed": seed, "budget": {"trials": 30}, **tuner})
    searched = searched or space()
    return Asked(config, searched, {name: OWN[name] for name in searched}, EPOCHS)


def run(oracle: Asked, number: int) -> list[tuple[Proposal, float]]:
    log = []
    for _ in range(number):
        proposal = oracle.ask()
        if isinstance(proposal, str):
            break
        log.append((proposal, quality(proposal.values)))
        oracle.tell(proposal.id, log[-1][1])
    return log


@pytest.mark.parametrize("algorithm", ["random", "grid", "bayesian", "hyperband"])
def test_proposals_lie_in_the_space_and_hold_what_is_searched_with_them(algorithm: str):
    for proposal, _ in run(asked(algorithm=algorithm), 15):
        assert holds(space(), proposal.values)
        assert active(space(), proposal.values) == proposal.values
        assert ("fit.weight_decay" in proposal.values) == (proposal.values["fit.optimizer"] == "adamw")


def test_config_itself_is_not_proposed():
    small = space(**{"fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]}})
    for algorithm in ("random", "grid", "bayesian"):
        proposals = [proposal.values for proposal, _ in run(asked(small, algorithm=algorithm), 5)]
        assert proposals == [{"fit.optimizer": "adam"}], algorithm


def test_gaussian_process_finds_more_than_chance():
    """Compare the medians over five seeds of the best of 25."""
    medians = {
        algorithm: np.median(
            [max(score for _, score in run(asked(algorithm=algorithm, seed=seed), 25)) for seed in range(1, 6)]
        )
        for algorithm in ("random", "bayesian")
    }
    best = quality({"fit.learning_rate": 0.01, "model.dropout": 0.2, "fit.weight_decay": 1e-4})
    assert best - medians["bayesian"] < 0.75 * (best - medians["random"])


def test_gaussian_process_never_proposes_twice():
    small = space(
        **{
            "fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]},
            "model.dropout": {"kind": "float", "min": 0, "max": 0.4, "step": 0.2},
        }
    )
    log = run(asked(small, algorithm={"kind": "bayesian", "initial_points": 2}), 20)
    tried = [str(proposal.values) for proposal, _ in log]
    assert len(tried) == len(set(tried)) == 6  # the config's own dropout lies between the steps


def test_config_is_learned_from_where_the_space_holds_it():
    one, other = asked(algorithm="bayesian"), asked(algorithm="bayesian")
    one.tell_own(OWN, 0.99)
    other.tell_own(OWN | {"model.embedding_dim": 99}, 0.99)
    proposals = [run(oracle, 12)[-1][0].values for oracle in (one, other)]
    assert proposals[0] != proposals[1]


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "hyperband"])
@pytest.mark.parametrize("told_after", [0, 1, 3])
def test_trials_are_numbered_without_gaps_whenever_the_config_itself_is_told(algorithm: str, told_after: int):
    oracle, names = asked(algorithm=algorithm), []
    for number in range(6):
        if number == told_after:
            oracle.tell_own(OWN, 0.9)
        proposal = oracle.ask()
        assert isinstance(proposal, Proposal)
        names.append(proposal.id)
    assert names == [f"{number:04d}" for number in range(6)]


def test_hyperband_waits_for_what_runs_and_says_when_it_is_done():
    oracle = asked(space(**{"fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]}}), algorithm="hyperband")
    first = oracle.ask()
    assert isinstance(first, Proposal)
    assert oracle.ask() == "wait"
    oracle.tell(first.id, 0.5)
    assert oracle.ask() == "stop"


def test_failed_trials_are_told_without_a_score():
    oracle = asked(algorithm="bayesian")
    for _ in range(12):
        proposal = oracle.ask()
        assert isinstance(proposal, Proposal)
        oracle.tell(proposal.id, None)


def test_a_failure_hides_nothing_of_what_tells_good_trials_apart():
    losses = np.array([-0.95, -0.955, -0.957, -0.94, -0.5])
    assert without_outliers(losses) == pytest.approx([-0.95, -0.955, -0.957, -0.94, -0.936])


def test_kerastuner_reads_space_and_values():
    from keras_tuner import HyperParameters

    read = HyperParameters.from_config(kerastuner_config(space(), OWN))
    assert read.get("fit.learning_rate") == 0.001
    assert read.get("model.hidden") == "[128, 64]"
    assert read.get("model.dropout") == "0.3"
    assert {hp.name: hp.conditions[0].values for hp in read.space if hp.conditions} == {"fit.weight_decay": ['"adamw"']}


def test_no_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run(asked(algorithm="hyperband"), 6)
    assert not list(tmp_path.iterdir())
