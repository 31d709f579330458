"""What trials are compared by: one number, higher is better, among those that keep to the limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.heads import Kind
from models.metrics import METRICS
from models.tuning.config import COSTS, KNOWN_BEFOREHAND, Objective

BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class Judge:
    """Scores models by an objective.

    Attributes:
      objective: what is searched for.
      kind: of the label.
    """

    objective: Objective
    kind: Kind

    @property
    def weights(self) -> Mapping[str, float]:
        """{metric: how much it counts}; of one metric where the objective is one."""
        return self.objective.weights or {self.objective.metric or next(iter(METRICS[self.kind])): 1.0}

    @property
    def score_name(self) -> str:
        """The metric that the score is, or "score" for a sum."""
        return "score" if self.objective.weights else next(iter(self.weights))

    @property
    def higher_is_better(self) -> bool:
        """Of the score, as it is shown: a metric of which less is better is scored by its negative."""
        return bool(self.objective.weights) or self._higher(self.score_name)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics to measure; costs are known anyway."""
        named = [*self.weights, *self.objective.limits]
        return tuple(dict.fromkeys(name for name in named if name in METRICS[self.kind]))

    @property
    def text(self) -> str:
        """What is searched for, for people."""
        if self.objective.weights:
            goal = " ".join(f"{'+' if self._higher(n) else '-'} {w:g} x {n}" for n, w in self.weights.items()).lstrip("+ ")
        else:
            goal = self.score_name
        limits = [f"{name} {self._sign(name)} {bound:g}" for name, bound in self.objective.limits.items()]
        return f"{goal} with {' and '.join(limits)}" if limits else goal

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the score of {metric or cost: value}."""
        return sum(weight * (metrics[name] if self._higher(name) else -metrics[name]) for name, weight in self.weights.items())

    def shown(self, score: float) -> float:
        """Return a score as its metric says it."""
        return score if self.higher_is_better else -score

    def violations(self, metrics: Mapping[str, float], beforehand: bool = False) -> list[str]:
        """Return which limits are not kept to, in words.

        Args:
          metrics: {metric or cost: value}.
          beforehand: of those alone that are known before a training.
        """
        names = [name for name in self.objective.limits if not beforehand or name in KNOWN_BEFOREHAND]
        return [
            f"{name} is {metrics[name]:g}, limit {self._sign(name)} {self.objective.limits[name]:g}"
            for name in names
            if not self._keeps(name, metrics[name])
        ]

    def _keeps(self, name: str, value: float) -> bool:
        bound = self.objective.limits[name]
        return value >= bound if self._higher(name) else value <= bound

    def _sign(self, name: str) -> str:
        return ">=" if self._higher(name) else "<="

    def _higher(self, name: str) -> bool:
        return COSTS[name] if name in COSTS else METRICS[self.kind][name].higher_is_better
