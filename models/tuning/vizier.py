"""A search as Vertex AI runs it: a StudySpec of Vizier, and the HyperparameterTuningJob around it, in their REST form.

What Vertex has no word for:

- The config's own values as the first trial: only Vizier's own service knows default values, a tuning job does not.
- `seed`, and the first epochs and trials that median stopping leaves alone: Vizier decides.
- A limit on the objective's own metric: where the best trial does not keep to it, none does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.tuning.space import Choice, Int, Parameter, Space
from models.tuning.vizier_space import Spec, parameter_specs

if TYPE_CHECKING:
    from models.heads import Kind
    from models.tuning.config import Objective, TunerConfig

SCORE = "score"  # what a trial reports of a weighted sum: already weighted, higher is better
GRID_POINTS = 10  # of a range without steps

# Bayesian optimization is what Vertex does where no algorithm is given.
_ALGORITHMS: Mapping[str, Spec] = {
    "random": {"algorithm": "RANDOM_SEARCH"},
    "grid": {"algorithm": "GRID_SEARCH"},
    "bayesian": {},
}


def study_spec(config: TunerConfig, space: Space, kind: Kind) -> Spec:
    """Return the StudySpec of a search.

    Of a trial the last measurement counts: ours reports after each epoch, and at last the value of its best weights, which are
    those that a model would be made of. The best measurement could be that of an epoch whose weights nobody kept, and is the
    luckiest of many. A trial that Vertex stops is judged by its last epoch.

    Limits are safety metrics, which must be at least, or where lower is better at most, their threshold.

    Args:
      config: the section `tuner:`.
      space: that is searched.
      kind: of the label.

    Raises:
      ValueError: Vizier cannot say it; it names the cure.
    """
    algorithm, budget = config.algorithm.kind, config.budget
    if algorithm not in _ALGORITHMS:
        raise ValueError(
            f"tuner.algorithm: Vizier has no {algorithm}. Expected one of: {', '.join(_ALGORITHMS)}. With bayesian and "
            "early_stopping it stops poor trials too."
        )
    if budget.epochs is not None:
        raise ValueError("tuner.budget.epochs: Vizier counts trials and time. Give trials or minutes, and leave epochs out.")
    spec: Spec = {
        "metrics": metric_specs(config.objective, kind),
        "parameters": parameter_specs(space, _grid(space) if algorithm == "grid" else None),
        "measurementSelectionType": "LAST_MEASUREMENT",
    }
    if config.early_stopping:
        spec["medianAutomatedStoppingSpec"] = {"useElapsedDuration": False}
    if budget.minutes:
        duration = f"{max(round(60 * budget.minutes), 1)}s"
        spec["studyStoppingConfig"] = {"maximumRuntimeConstraint": {"maxDuration": duration}, "shouldStopAsap": True}
    return spec | _ALGORITHMS[algorithm]


def tuning_job(config: TunerConfig, space: Space, kind: Kind, parallel: int = 1) -> Spec:
    """Return a HyperparameterTuningJob without its name and the job that each trial runs.

    Args:
      config: the section `tuner:`.
      space: that is searched.
      kind: of the label.
      parallel: trials at a time where the config leaves it open (`workers: auto`).

    Raises:
      ValueError: Vertex cannot say it; it names the cure.
    """
    trials = config.budget.trials
    if trials is None:
        raise ValueError("tuner.budget.trials: Vertex AI needs a number of trials, found none. Give one, beside minutes.")
    return {
        "studySpec": study_spec(config, space, kind),
        "maxTrialCount": trials,
        "parallelTrialCount": min(parallel if config.workers == "auto" else config.workers, trials),
        # The job fails at so many; 0 would leave it to Vertex.
        "maxFailedTrialCount": config.budget.failed_trials + 1,
    }


def metric_specs(objective: Objective, kind: Kind) -> list[Spec]:
    """Return what a trial reports: the objective, then what is limited."""
    from models.metrics import METRICS
    from models.tuning.config import COSTS, check_objective

    check_objective(objective, kind)
    higher_is_better = {name: metric.higher_is_better for name, metric in METRICS[kind].items()} | COSTS | {SCORE: True}
    name = SCORE if objective.weights else objective.metric or next(iter(METRICS[kind]))

    def goal(metric: str) -> str:
        return "MAXIMIZE" if higher_is_better[metric] else "MINIMIZE"

    limits = {limited: bound for limited, bound in objective.limits.items() if limited != name}
    safe = [
        {"metricId": limited, "goal": goal(limited), "safetyConfig": {"safetyThreshold": bound}}
        for limited, bound in limits.items()
    ]
    return [{"metricId": name, "goal": goal(name)}, *safe]


def _grid(space: Space) -> dict[str, Sequence[float]]:
    """Return the points of those ranges that have no steps: Vizier's grid search takes no doubles."""
    return {name: _points(parameter) for name, parameter in space.items() if _is_open(parameter)}


def _is_open(parameter: Parameter) -> bool:
    if isinstance(parameter, Choice) or parameter.step:
        return False
    return not isinstance(parameter, Int) or parameter.max - parameter.min >= GRID_POINTS


def _points(parameter: Any) -> Sequence[float]:
    spaced = np.geomspace if parameter.scale == "log" else np.linspace
    points = spaced(parameter.min, parameter.max, GRID_POINTS).tolist()
    if isinstance(parameter, Int):
        return sorted({round(point) for point in points})
    return [parameter.min, *points[1:-1], parameter.max]
