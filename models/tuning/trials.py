"""What a search knows of its trials, and the journal that it goes on from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# finished: as long as it was meant to; stopped: before that, as a poor one or at the end of the budget; infeasible: does not
# keep to a limit; failed: an error, or its process died.
State = Literal["running", "finished", "stopped", "infeasible", "failed"]
# finished, but for where a search ended: has a score that others can be compared with.
SCORED = ("finished", "stopped")

CONFIG_TRIAL = "config"  # id of the trial with the config's own values
CONFIRMATION = "confirmation"  # of the one that trains the best values in full


@dataclass(frozen=True)
class Trial:
    """A trial.

    Attributes:
      id: "config", a number such as "0007", or "confirmation".
      values: {place in the config: value}; of the space's parameters, those that are searched.
      last_epoch: it was to train up to this epoch.
      parent: id of the trial whose checkpoint it goes on from, None if it began anew.
      state: what became of it.
      score: higher is better; None without one.
      metrics: {metric or cost: value} of the best weights.
      course: {"loss", "eval_loss" or metric: its value by epoch}, from the first epoch of its first ancestor.
      epochs: that were trained in it.
      seconds: that it took.
      full: trained as the Trainer would train.
      error: why it failed, or what made it infeasible or poor.
      ended_at: seconds of searching when it ended, over all attempts.
    """

    id: str
    values: dict[str, Any]
    last_epoch: int
    parent: str | None = None
    state: State = "running"
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    course: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    full: bool = False
    error: str | None = None
    ended_at: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can say."""
        return asdict(self)


@dataclass(frozen=True)
class Learnt:
    """What a search found out.

    Attributes:
      trials: in the order in which they began.
      best: id of the one whose values are taken.
      improved: it is better than the config's own values, which are kept otherwise.
      values: that are taken: {} where the config's own are kept.
      objective: what was searched for, as text: "auc".
      score_name: the metric that the score is, or "score" for a weighted sum.
      higher_is_better: of the metric that the score is made of: a score is negated where it is False.
      algorithm: "bayesian".
      seconds: of searching, over all attempts.
      ended_by: which budget was used up, or "nothing left to try".
    """

    trials: tuple[Trial, ...]
    best: str
    improved: bool
    values: dict[str, Any]
    objective: str
    score_name: str
    higher_is_better: bool
    algorithm: str
    seconds: float
    ended_by: str

    def trial(self, identity: str) -> Trial:
        """Return a trial by its id."""
        return next(trial for trial in self.trials if trial.id == identity)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can say."""
        return asdict(self)
