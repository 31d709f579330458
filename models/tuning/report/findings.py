"""What a search found, for people and for programs: the metric itself, not the score that is always better when higher."""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate
from typing import Any

from models.tuning.report.importance import Importances
from models.tuning.trials import CONFIG_TRIAL, CONFIRMATION, SCORED, Learnt, Trial


def learnt_summary(learnt: Learnt, importances: Importances) -> dict[str, Any]:
    """Return what a run's summary says of its search, as JSON can say it."""
    best, own = _by_id(learnt, learnt.best), config_trial(learnt)
    summary = {
        "headline": headline(learnt),
        "algorithm": learnt.algorithm,
        "objective": learnt.objective,
        "score_name": learnt.score_name,
        "higher_is_better": learnt.higher_is_better,
        "improved": learnt.improved,
        "values": learnt.values,
        "best": {"id": learnt.best, "score": shown(learnt, best), "metrics": best.metrics if best else {}},
        "config": {"score": shown(learnt, own), "metrics": own.metrics if own else {}},
        "gain": gain(learnt),
        "num_trials": len(learnt.trials),
        "trials": dict(Counter(trial.state for trial in learnt.trials)),
        "epochs": sum(trial.epochs for trial in learnt.trials),
        "seconds": learnt.seconds,
        "ended_by": learnt.ended_by,
        "importances": {
            "shares": importances.shares,
            "r2": importances.r2,
            "reliable": importances.reliable,
            "num_trials": importances.num_trials,
        },
        "best_so_far": best_so_far(learnt),
    }
    return finite(summary)


def scores(learnt: Learnt) -> dict[str, float]:
    """Return {id: score} of the trials that can be compared, in the order in which they began."""
    return {
        trial.id: trial.score
        for trial in learnt.trials
        if trial.state in SCORED and trial.score is not None and math.isfinite(trial.score)
    }


def shown(learnt: Learnt, trial: Trial | None) -> float | None:
    """Return a trial's metric, where lower is better as it was measured; None without a score."""
    if trial is None or trial.score is None or not math.isfinite(trial.score):
        return None
    return trial.score if learnt.higher_is_better else -trial.score


def config_trial(learnt: Learnt) -> Trial | None:
    """Return the trial with the config's own values."""
    return _by_id(learnt, CONFIG_TRIAL)


def found_trial(learnt: Learnt) -> Trial | None:
    """Return the trial whose values are taken, or where the config's own are kept the best of the others."""
    if learnt.improved:
        return _by_id(learnt, learnt.best)
    comparable = scores(learnt)
    others = [t for t in learnt.trials if t.id in comparable and CONFIG_TRIAL not in (t.id, t.parent)]
    return max(others, key=lambda trial: comparable[trial.id], default=None)


def gain(learnt: Learnt) -> float | None:
    """Return by how much the best trial is better than the config's own values, in the metric's unit; None without both."""
    comparable = scores(learnt)
    if learnt.best not in comparable or CONFIG_TRIAL not in comparable:
        return None
    return comparable[learnt.best] - comparable[CONFIG_TRIAL]


def best_so_far(learnt: Learnt) -> list[list[float]]:
    """Return [number of the trial, best metric until then], for each trial with a score; the first trial has number 1."""
    comparable = scores(learnt)
    numbers = [number for number, trial in enumerate(learnt.trials, 1) if trial.id in comparable]
    best = accumulate(comparable.values(), max)
    return [[number, score if learnt.higher_is_better else -score] for number, score in zip(numbers, best, strict=True)]


def headline(learnt: Learnt) -> str:
    """Say in one or two sentences what came of the search."""
    own, found = config_trial(learnt), found_trial(learnt)
    num_others = sum(trial.id not in (CONFIG_TRIAL, CONFIRMATION) for trial in learnt.trials)
    of_own = f"{learnt.score_name} {readable(shown(learnt, own))}" if shown(learnt, own) is not None else ""
    if learnt.improved and found:
        who = "The best settings, trained in full," if found.id == CONFIRMATION else f"Trial {found.id}"
        reached = f"{who} reached {learnt.score_name} {readable(shown(learnt, found))}"
        difference = gain(learnt)
        if difference is None:
            return f"{reached}; the config's own settings have no score. The Trainer takes what was found."
        return f"{reached}, better by {difference:.2g} than the config's own ({of_own}). The Trainer takes what was found."
    stay = f"The config's own settings stay{f' ({of_own})' if of_own else ''}."
    if not num_others:
        return f"No other settings were tried. {stay}"
    if not found:
        return f"No other settings came to a score ({num_others} tried). {stay}"
    closest = f"the best of {num_others} reached {learnt.score_name} {readable(shown(learnt, found))}"
    return f"No other settings proved better: {closest}. {stay}"


def named(trial: Trial) -> str:
    """Call a trial by a name within a sentence."""
    return "the confirmation" if trial.id == CONFIRMATION else f"trial {trial.id}"


def readable(number: float | None) -> str:
    """Write a number with five digits, a large one whole, and a dash for none."""
    if number is None or not math.isfinite(number):
        return "-"
    return f"{number:,.0f}" if 1e5 <= abs(number) < 1e15 else f"{number:.5g}"


def finite(value: Any) -> Any:
    """Return a value of dicts, lists and scalars with None for every NaN and infinity, which JSON has not."""
    if isinstance(value, dict):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _by_id(learnt: Learnt, identity: str) -> Trial | None:
    return next((trial for trial in learnt.trials if trial.id == identity), None)
