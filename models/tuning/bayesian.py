"""Bayesian optimization by a Gaussian process, as KerasTuner's oracle and faster."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial, TrialStatus

from models.tuning.space import Values

# Random candidates for each proposal of the Gaussian process, and around how many of the best trials others are drawn.
_CANDIDATES, _NEIGHBOURS, _AROUND = 1024, 128, 4
_SPREAD = 0.1  # of those neighbours, in units of a parameter's range


class WithoutFiles:
    """Writes no files: the search has a journal."""

    def save(self) -> None:
        """Do nothing."""

    def _save_trial(self, trial: Trial) -> None:
        pass


class BayesianOracle(WithoutFiles, oracles.BayesianOptimizationOracle):
    """Looks for the best bound among values that there are, and never proposes twice.

    KerasTuner descends from fifty random points with numeric gradients, which takes seconds, and rounds what it found.
    """

    trials: dict[str, Trial]
    recorded: Values | None = None
    own: Mapping[str, Trial] = MappingProxyType({})  # the trial of the config's own values

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return random values first, then those with the best confidence bound."""
        proposed = self.trials
        self.trials = proposed | dict(self.own)
        try:
            return self._propose()
        finally:
            self.trials = proposed

    def _propose(self) -> dict[str, Any]:
        scored = [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]
        if len(scored) < self.num_initial_points:
            return self._random_populate_space()
        if self.recorded is not None:  # as an earlier attempt found
            return {"status": TrialStatus.RUNNING, "values": self.recorded}
        x, y = self._vectorize_trials()
        self.gpr.fit(x, without_outliers(y))
        candidates = self._candidates(x[np.argsort(y)[:_AROUND]])
        if not candidates:
            return self._random_populate_space()
        vectors = np.array([self._vector(values) for values in candidates])
        mean, deviation = self.gpr.predict(vectors, return_std=True)
        return {"status": TrialStatus.RUNNING, "values": candidates[int(np.argmin(mean - self.beta * deviation))]}

    def _make_gpr(self) -> Any:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern

        kernel = Matern(length_scale=0.5, length_scale_bounds=(0.05, 10.0), nu=2.5)
        return GaussianProcessRegressor(
            kernel, n_restarts_optimizer=4, normalize_y=True, alpha=self.alpha, random_state=self.seed
        )

    def _candidates(self, best: np.ndarray) -> list[Values]:
        """Return values that were not tried; those at random, and those near the best vectors (n, parameters)."""
        # By the number of trials: a search that goes on draws as one that was not interrupted.
        random = np.random.default_rng([self.seed, len(self.trials)])
        vectors = [random.random((_CANDIDATES, best.shape[1]))]
        for vector in best:
            moved = random.random((_NEIGHBOURS, len(vector))) < max(0.3, 1 / len(vector))
            vectors.append(np.clip(vector + moved * random.normal(0, _SPREAD, moved.shape), 0, np.nextafter(1, 0)))
        found = {self._compute_values_hash(v): v for v in map(self._vector_to_values, np.concatenate(vectors))}
        return [values for key, values in found.items() if key not in self._tried_so_far]

    def _vector(self, values: Values) -> list[float]:
        return [hp.value_to_prob(values.get(hp.name, hp.default)) for hp in self._nonfixed_space()]


def without_outliers(y: np.ndarray) -> np.ndarray:
    """Return losses (n,) with the worst cut off: a model that learned nothing hides what tells good ones apart."""
    median, best = np.median(y), np.min(y)
    return np.minimum(y, median + 2 * (median - best)) if median > best else y
