"""Which trials are not worth going on with: the median stopping rule of Google Vizier (Golovin et al. 2017)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from models.tuning.config import MedianStopping


def is_poor(rule: MedianStopping, scores: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Tell whether a trial is to be stopped: its best score so far is below the median of the others' averages by then.

    Args:
      rule: when it applies.
      scores: of the trial, by epoch; higher is better.
      others: of trials that are through, by epoch.
    """
    compared = [past for past in others if past]
    if len(scores) < rule.first_epochs or len(compared) < rule.first_trials:
        return False
    averages = [statistics.fmean(past[: len(scores)]) for past in compared]
    return max(scores) < statistics.median(averages)
