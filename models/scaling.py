"""What more replicas change: the global batch, the learning rate with it, and a warm-up to that rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from models.fit_config import FitConfig

Scaling = Literal["linear", "sqrt", "none"]
# Goyal et al. 2017 warm up for 5 of 90 epochs; a short training should not be all warm-up.
_WARMUP_EPOCHS, _LARGEST_WARMUP = 5, 1 / 6


@dataclass(frozen=True)
class Scale:
    """How a config is trained on so many replicas.

    Attributes:
      replicas: how many.
      global_batch_size: examples of a step, of all replicas.
      learning_rate: that the schedule starts from, after the warm-up.
      first_learning_rate: that the warm-up starts from.
      warmup_epochs: for which it rises, step by step; 0: none.
    """

    replicas: int
    global_batch_size: int
    learning_rate: float
    first_learning_rate: float
    warmup_epochs: float

    def report(self) -> dict[str, float]:
        """Return the facts for a report."""
        return dict(vars(self))

    def __str__(self) -> str:
        """Say it in a line."""
        text = f"{self.replicas} replica(s), global batch {self.global_batch_size}, learning rate {self.learning_rate:g}"
        if not self.warmup_epochs:
            return text
        return f"{text} after a warm-up from {self.first_learning_rate:g} over {self.warmup_epochs:g} epochs"


def scaled(config: FitConfig, replicas: int) -> Scale:
    """Return what a config means on so many replicas.

    The linear rule and the warm-up are those of Goyal et al. 2017 ("Accurate, Large Minibatch SGD"); for Adam the square root
    keeps the size of the noise (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms").
    """
    factor = {"linear": float(replicas), "sqrt": math.sqrt(replicas), "none": 1.0}[config.learning_rate_scaling]
    warmup = config.warmup_epochs
    if warmup is None:
        warmup = min(_WARMUP_EPOCHS, config.epochs * _LARGEST_WARMUP) if factor > 1 else 0.0
    # Where nothing is scaled a warm-up that was asked for begins at nothing.
    first = config.learning_rate if factor > 1 else 0.0
    rate = config.learning_rate * factor
    return Scale(replicas, config.batch_size * replicas, rate, first if warmup else rate, warmup)
