"""The accounts of a search: what became of a trial, whether the budget is used up, which trial is the best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.tuning.config import Budget, TunerConfig
from models.tuning.objective import Judge
from models.tuning.trials import CONFIG_TRIAL, SCORED, Learnt, Trial
from models.tuning.workers import Report

POOR = "poor: below the median of the trials before"
# Of models that were not trained because they would not have kept to a limit: these cost next to nothing.
_MOST_INFEASIBLE = 200


@dataclass
class Running:
    """A trial under way.

    Attributes:
      trial: which.
      began: when, by the monotonic clock.
      scores: by epoch so far.
    """

    trial: Trial
    began: float
    scores: list[float] = field(default_factory=list)


def ended(trial: Trial, report: Report, judge: Judge, epochs: int, elapsed: float) -> Trial:
    """Return a trial as it ended.

    Args:
      trial: that was running.
      report: of its end.
      judge: scores it.
      epochs: of a full training.
      elapsed: seconds of the search.
    """
    outcome = report.outcome
    if outcome is None:
        return dataclasses.replace(trial, state="failed", error=report.error, ended_at=elapsed)
    trained = judge.metrics and judge.metrics[0] in outcome.metrics
    trial = dataclasses.replace(
        trial,
        metrics=outcome.metrics,
        course=outcome.course,
        epochs=outcome.epochs,
        seconds=outcome.seconds,
        error=outcome.stopped,
        ended_at=elapsed,
    )
    if not trained:
        return dataclasses.replace(trial, state="infeasible")
    if violations := judge.violations(outcome.metrics):
        return dataclasses.replace(trial, state="infeasible", error="; ".join(violations))
    score = judge.score(outcome.metrics)
    if not math.isfinite(score):
        return dataclasses.replace(trial, state="failed", error=f"its {judge.score_name} is not a number")
    if outcome.stopped:
        return dataclasses.replace(trial, state="stopped", score=score)
    return dataclasses.replace(trial, state="finished", score=score, full=trial.last_epoch >= epochs)


def scores_by_epoch(trial: Trial, judge: Judge) -> list[float]:
    """Return the scores that a trial had after each epoch."""
    courses = [trial.course.get(name, []) for name in judge.metrics]
    return [
        judge.score({**trial.metrics, **dict(zip(judge.metrics, values, strict=True))}) for values in zip(*courses, strict=True)
    ]


def over(budget: Budget, trials: Iterable[Trial], elapsed: float, under_way: int) -> str | None:
    """Return why no further trial begins, None if one may.

    Args:
      budget: of the search.
      trials: all that began.
      elapsed: seconds of the search.
      under_way: epochs that running trials have trained so far.
    """
    trials = list(trials)
    infeasible = sum(trial.state == "infeasible" and not trial.epochs for trial in trials)
    if budget.trials is not None and len(trials) - infeasible >= budget.trials:
        return f"{budget.trials} trials"
    if infeasible >= _MOST_INFEASIBLE:
        return f"{infeasible} models did not keep to the limits"
    return used_up(budget, trials, elapsed, under_way)


def used_up(budget: Budget, trials: Iterable[Trial], elapsed: float, under_way: int) -> str | None:
    """Return why running trials stop as well, None if they need not; arguments as of `over`."""
    if budget.minutes is not None and elapsed >= budget.minutes * 60:
        return f"{budget.minutes:g} minutes"
    if budget.epochs is not None and sum(trial.epochs for trial in trials) + under_way >= budget.epochs:
        return f"{budget.epochs} epochs"
    return None


def best_of(trials: Iterable[Trial], judge: Judge) -> Trial:
    """Return the best trial, the first of equals.

    Raises:
      ValueError: none has a score.
    """
    trials = list(trials)
    scored = [trial for trial in trials if trial.state in SCORED and trial.score is not None]
    if scored:
        return max(scored, key=lambda trial: trial.score or 0.0)
    reasons = [trial.error for trial in trials if trial.error]
    raise ValueError(
        f"No trial has a score for {judge.text}: {reasons[-1] if reasons else 'none was run'}. "
        "Widen `tuner.objective.limits`, `tuner.space` or `tuner.budget`."
    )


def unconfirmed(trials: Iterable[Trial], judge: Judge) -> Trial | None:
    """Return the trial whose values are still to be trained in full, None where the best one was.

    A short trial cannot be compared with the config's own long one: where no other was trained in full, it is the best of the
    longest.
    """
    trials = [trial for trial in trials if trial.score is not None]
    others = [trial for trial in trials if trial.id != CONFIG_TRIAL and trial.error != POOR]
    if others and not any(trial.full for trial in others):
        longest = max(len(scores_by_epoch(trial, judge)) for trial in others)
        return best_of([trial for trial in others if len(scores_by_epoch(trial, judge)) == longest], judge)
    best = best_of(trials, judge) if trials else None
    return None if best is None or best.full else best


def learnt(trials: Mapping[str, Trial], config: TunerConfig, judge: Judge, seconds: float, ended_by: str) -> Learnt:
    """Sum a search up: the best of the trials in full, and whether it beats the config's own values."""
    best = best_of([trial for trial in trials.values() if trial.full] or trials.values(), judge)
    own = trials.get(CONFIG_TRIAL)
    improved = best.id != CONFIG_TRIAL and (own is None or own.score is None or (best.score or 0.0) > own.score)
    return Learnt(
        trials=tuple(trials.values()),
        best=best.id,
        improved=improved,
        values=best.values if improved else {},
        objective=judge.text,
        score_name=judge.score_name,
        higher_is_better=judge.higher_is_better,
        algorithm=config.algorithm.kind,
        seconds=seconds,
        ended_by=ended_by,
    )


def describe(trial: Trial, trials: Iterable[Trial], budget: Budget, judge: Judge) -> str:
    """Return a line on a trial that ended, for whoever watches."""
    trials = list(trials)
    through = sum(each.state != "running" for each in trials)
    number = f"{through}/{budget.trials}" if budget.trials else str(through)
    shown = trial.state if trial.score is None else f"{judge.score_name} {judge.shown(trial.score):.4f}"
    scored = [each for each in trials if each.score is not None]
    if not scored:
        return f"trial {number}: {shown}"
    best = best_of(scored, judge)
    return f"trial {number}: {shown}; best {judge.shown(best.score or 0.0):.4f} ({best.id})"
