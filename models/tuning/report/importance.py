"""How much each hyperparameter matters: the share of a surrogate's variance that it takes part in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.tuning.report.axes import Axis, axis_of, floor, is_number
from models.tuning.space import Choice, Space, holds
from models.tuning.trials import SCORED, Trial

# With fewer, most leaves of a forest hold a single trial: it would rank chance, and out-of-bag scores would say nothing.
MIN_TRIALS = 10
# Share of the scores' variance that the surrogate must explain for trials it has not seen. Tried with five parameters: of 25
# searches with nothing but noise for scores none gets there with 20 trials, and one with 10. Where two parameters matter
# (variances 8.3 and 1.3, noise 4) and it is reached, the first came out first every time; the second was second in 3 of 5
# searches of 20 trials, and in 7 of 8 of 40.
RELIABLE_R2 = 0.3

_TREES = 200
_SAMPLES = 512  # points of the space at which the surrogate is asked
_SEED = 1


@dataclass(frozen=True)
class Importances:
    """What each hyperparameter adds to the differences between trials.

    Attributes:
      shares: {parameter: share}, largest first, of sum 1; {} where too few trials have a score, or all have the same.
      r2: of the surrogate, out of bag: 1 explains the scores of trials it has not seen, 0 or less nothing; None without shares.
      num_trials: that were learned from.
    """

    shares: dict[str, float]
    r2: float | None
    num_trials: int

    @property
    def reliable(self) -> bool:
        """Tell whether the surrogate explains enough for its importances to be believed."""
        return self.r2 is not None and self.r2 >= RELIABLE_R2


def importances(trials: Sequence[Trial], space: Space) -> Importances:
    """Measure how much each parameter matters within the space.

    A random forest learns the scores; then, at points spread evenly over the space, its predictions are compared with those
    after one parameter was permuted (permutation importance, Breiman 2001). Over independent points that is the parameter's
    total effect, interactions included: what functional ANOVA shares out (Hutter et al. 2014), and it does not matter that a
    search tries good places more often than others.

    A parameter that is not searched in a trial gets a value at random there: any fixed one would tell the forest of the
    parameter that it depends on, whose effect it would then be given. How long a trial was to train is known to the forest, but
    has no share.

    Args:
      trials: all of a search. The config's own values count if the space holds them. Of Hyperband's trials those that began
        anew count: who goes on was chosen by its score, and would be there twice.
      space: that they are from.
    """
    rows = [trial for trial in trials if _counts(trial, space)]
    scores = np.asarray([trial.score for trial in rows], np.float64)
    if len(rows) < MIN_TRIALS or np.ptp(scores) == 0:
        return Importances({}, None, len(rows))
    scores = np.maximum(scores, floor(list(scores)))
    scores = (scores - scores.mean()) / scores.std()
    random = np.random.default_rng(_SEED)
    lengths = np.asarray([[trial.last_epoch] for trial in rows], np.float64)
    seen = np.hstack([_columns(rows, space, random), lengths])
    sampled = np.hstack([_sample(space, random), random.choice(lengths, _SAMPLES)])
    effects, r2 = _effects(seen, scores, sampled, space)
    shares = dict(sorted(zip(space, effects / (effects.sum() or 1.0), strict=True), key=lambda pair: -pair[1]))
    return Importances({name: float(share) for name, share in shares.items()} if effects.any() else {}, r2, len(rows))


def _counts(trial: Trial, space: Space) -> bool:
    return trial.state in SCORED and is_number(trial.score) and trial.parent is None and holds(space, trial.values)


def _columns(trials: Sequence[Trial], space: Space, random: np.random.Generator) -> np.ndarray:
    """Return positions on the parameters' axes, (trials, parameters)."""
    columns = []
    for name, parameter in space.items():
        axis = axis_of(parameter)
        column = np.asarray([axis.at(t.values[name]) if name in t.values else np.nan for t in trials], np.float64)
        absent = np.isnan(column)
        column[absent] = random.choice(column[~absent], absent.sum()) if not absent.all() else 0.0
        columns.append(column)
    return np.stack(columns, axis=1)


def _sample(space: Space, random: np.random.Generator) -> np.ndarray:
    """Return positions drawn evenly and independently, (samples, parameters)."""
    columns = []
    for parameter in space.values():
        places = _places(axis_of(parameter))
        columns.append(random.choice(places, _SAMPLES) if places else random.random(_SAMPLES))
    return np.stack(columns, axis=1)


def _places(axis: Axis) -> list[float]:
    return [n / max(len(axis.labels) - 1, 1) for n in range(len(axis.labels))]


def _effects(seen: np.ndarray, scores: np.ndarray, sampled: np.ndarray, space: Space) -> tuple[np.ndarray, float]:
    """Return each parameter's mean squared effect on the prediction, and R^2 out of bag."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.pipeline import make_pipeline

    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, oob_score=True, random_state=_SEED)
    surrogate = make_pipeline(_encoder(space), forest).fit(seen, scores)
    measured = permutation_importance(
        surrogate, sampled, surrogate.predict(sampled), scoring="neg_mean_squared_error", n_repeats=5, random_state=_SEED
    )
    return np.maximum(measured.importances_mean[: len(space)], 0.0), float(forest.oob_score_)


def _encoder(space: Space) -> Any:
    """Return what gives each value of an unordered choice a column of its own, which are permuted as the one that they were."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    unordered = [n for n, p in enumerate(space.values()) if isinstance(p, Choice) and not all(map(is_number, p.values))]
    places = [_places(axis_of(list(space.values())[n])) for n in unordered]
    one_hot = OneHotEncoder(categories=places) if unordered else "drop"
    return make_column_transformer((one_hot, unordered), remainder="passthrough")
