"""KerasTuner's oracles, asked for values and told scores, without its tuners, files and Keras 3.

What they are asked and told is in the journal of a search (models/tuning/journal.py); an oracle that is told the same again is
the same again. KerasTuner's own files do not hold what grid search and the bracket of a killed trial need.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Literal

from keras_tuner import HyperParameters, Objective, oracles
from keras_tuner.engine.trial import Trial, TrialStatus

from models.tuning.bayesian import BayesianOracle, WithoutFiles
from models.tuning.config import Bayesian, Hyperband, TunerConfig
from models.tuning.space import Choice, Float, Parameter, Space, Values, holds, label, ordered

_SCORE = "score"
_NO_LIMIT = 10**9
_SEEDS_APART = 1_000_003  # KerasTuner counts up from the seed: neighbours would draw nearly the same trials


@dataclass(frozen=True)
class Proposal:
    """What to try next.

    Attributes:
      id: of the trial.
      values: of the parameters that are searched with them.
      last_epoch: to train to; None: as long as `fit.epochs` says.
      parent: trial to go on from.
    """

    id: str
    values: Values
    last_epoch: int | None = None
    parent: str | None = None


class Asked:
    """An oracle for one search."""

    def __init__(self, config: TunerConfig, space: Space, own: Values, epochs: int):
        """Begin.

        Args:
          config: which algorithm, and its seed.
          space: what is searched.
          own: the config's own values; where the space holds them, they are its defaults.
          epochs: of a full training.
        """
        self._space = space
        self._labels = {name: labels for name, parameter in space.items() if (labels := _labels(parameter))}
        self._oracle = _oracle(config, _hyperparameters(space, own), epochs)
        if holds(space, own):  # they are tried anyway
            self._oracle._tried_so_far.add(self._oracle._compute_values_hash(self._encode(own)))
            if isinstance(self._oracle, _GridOracle):  # which begins with the defaults
                self.tell(self._oracle.create_trial("own").trial_id, None)

    def ask(self, recorded: Proposal | None = None) -> Proposal | Literal["wait", "stop"]:
        """Return what to try next, "wait" if that depends on trials under way, "stop" if there is nothing left.

        Args:
          recorded: what it was in an earlier attempt at the same search: what took time to find is not looked for again.
        """
        if isinstance(self._oracle, BayesianOracle):
            self._oracle.recorded = self._encode(recorded.values) if recorded else None
        # Each trial is as if of a tuner of its own: an oracle gives a tuner that asks again the same trial.
        trial = self._oracle.create_trial(f"{len(self._oracle.trials)}")
        if trial.status != TrialStatus.RUNNING:
            return "wait" if trial.status == TrialStatus.IDLE else "stop"
        values = trial.hyperparameters.values
        return Proposal(
            trial.trial_id,
            self._decode({name: values[name] for name in self._space if name in values}),
            values.get("tuner/epochs"),
            values.get("tuner/trial_id"),
        )

    def tell(self, identity: str, score: float | None) -> None:
        """Say how a trial ended: with a score, higher is better, or without one."""
        trial = self._oracle.trials[identity]
        trial.status = TrialStatus.FAILED if score is None else TrialStatus.COMPLETED
        if score is not None:
            trial.metrics.register(_SCORE, direction="max")
            trial.metrics.update(_SCORE, score)
        self._oracle.end_trial(trial)

    def tell_own(self, values: Values, score: float) -> None:
        """Say how the config's own values did, which no oracle proposed; nothing where the space does not hold them.

        Bayesian optimization learns from them. They are none of the oracle's trials, which it numbers by how many there are.
        """
        if not isinstance(self._oracle, BayesianOracle) or not holds(self._space, values):
            return
        hyperparameters = self._oracle.hyperparameters.copy()
        hyperparameters.values = self._encode(values)
        trial = Trial(hyperparameters, "own", TrialStatus.COMPLETED)
        trial.score = score
        self._oracle.own = {trial.trial_id: trial}

    def _encode(self, values: Values) -> Values:
        return {name: _encoded(self._space[name], value) for name, value in values.items()}

    def _decode(self, values: Values) -> Values:
        return {name: self._labels[name][x] if name in self._labels else x for name, x in values.items()}


def kerastuner_config(space: Space, values: Values) -> dict[str, Any]:
    """Return a space and values as `HyperParameters.from_config` reads them; choices by their JSON."""
    made = _hyperparameters(space, {})
    made.values = {name: _encoded(space[name], value) for name, value in values.items()}
    return made.get_config()


def _labels(parameter: Parameter) -> dict[str, Any] | None:
    """Return {JSON: value} of what KerasTuner is told as a choice: lists, and numbers with steps, which it rounds wrong."""
    if isinstance(parameter, Choice) or (isinstance(parameter, Float) and parameter.step):
        return {label(value): value for value in parameter.grid or ()}
    return None


def _encoded(parameter: Parameter, value: Any) -> Any:
    """Return a value that a parameter holds as KerasTuner has it."""
    if isinstance(parameter, Float) and parameter.grid:
        return label(min(parameter.grid, key=lambda x: abs(x - value)))
    return label(value) if isinstance(parameter, Choice) else value


def _hyperparameters(space: Space, own: Values) -> HyperParameters:
    """Return a space as KerasTuner has it; choices by their label."""
    made = HyperParameters()
    for name, parameter in ordered(space).items():
        default = _encoded(parameter, own[name]) if name in own and parameter.holds(own[name]) else None
        with contextlib.ExitStack() as scopes:
            for parent, values in parameter.when.items():
                scopes.enter_context(made.conditional_scope(parent, [label(value) for value in values]))
            labels = _labels(parameter)
            if labels is not None or isinstance(parameter, Choice):
                made.Choice(name, list(labels or {}), default=default)
            else:
                define = made.Float if isinstance(parameter, Float) else made.Int
                define(name, parameter.min, parameter.max, parameter.step, parameter.scale, default)
    return made


def _oracle(config: TunerConfig, hyperparameters: HyperParameters, epochs: int) -> Any:
    common = {
        "objective": Objective(_SCORE, "max"),
        "hyperparameters": hyperparameters,
        "seed": config.seed * _SEEDS_APART % 2**31,
        "allow_new_entries": False,
        "tune_new_entries": False,
        "max_consecutive_failed_trials": _NO_LIMIT,  # budgets are the search's
    }
    algorithm = config.algorithm
    if isinstance(algorithm, Bayesian):
        made: Any = BayesianOracle(
            **common,
            max_trials=None,
            num_initial_points=algorithm.initial_points or _initial_points(config, len(hyperparameters.space)),
            alpha=algorithm.noise,
            beta=algorithm.exploration,
        )
    elif isinstance(algorithm, Hyperband):
        made = _HyperbandOracle(**common, max_epochs=epochs, factor=algorithm.factor, hyperband_iterations=algorithm.iterations)
    else:
        kind = _GridOracle if algorithm.kind == "grid" else _RandomOracle
        made = kind(**common, max_trials=None)
    made.verbose = 0
    return made


def _initial_points(config: TunerConfig, num_parameters: int) -> int:
    enough = num_parameters + 2
    return enough if config.budget.trials is None else max(2, min(enough, config.budget.trials // 3))


class _RandomOracle(WithoutFiles, oracles.RandomSearchOracle):
    pass


class _GridOracle(WithoutFiles, oracles.GridSearchOracle):
    pass


class _HyperbandOracle(WithoutFiles, oracles.HyperbandOracle):
    pass
