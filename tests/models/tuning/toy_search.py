"""Searches whose trials take milliseconds: a formula in the place of a training."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydantic

from models.training import FitConfig
from models.tuning.config import TunerConfig
from models.tuning.objective import Judge
from models.tuning.running import Outcome, Request, Setting, Verdict
from models.tuning.search import Problem
from models.tuning.space import Parameter

EPOCHS = 9
OWN_MODEL = {"dropout": 0.3, "hidden": [128, 64], "embedding_dim": 4}
SPACE: Mapping[str, Any] = {
    "fit.learning_rate": {"kind": "float", "min": 1e-4, "max": 1e-1, "scale": "log"},
    "model.dropout": {"kind": "float", "min": 0, "max": 0.5, "step": 0.1},
    "model.embedding_dim": {"kind": "int", "min": 1, "max": 16, "scale": "log"},
    "fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]},
    "fit.weight_decay": {"kind": "float", "min": 1e-6, "max": 1e-2, "scale": "log", "when": {"fit.optimizer": "adamw"}},
    "model.hidden": {"kind": "choice", "values": [[64, 32], [128, 64], [256, 128, 64]]},
}


def space(**parameters: Any) -> dict[str, Parameter]:
    """Return a space; SPACE where no parameter is given."""
    return pydantic.TypeAdapter(dict[str, Parameter]).validate_python(parameters or SPACE)


def quality(values: Mapping[str, Any]) -> float:
    """Return what a full training with some values comes to, between 0 and 1; best at a learning rate of 0.01."""
    distance = (math.log10(values.get("fit.learning_rate", 1e-3)) + 2) ** 2 + 4 * (values.get("model.dropout", 0.3) - 0.2) ** 2
    decay = (math.log10(values.get("fit.weight_decay", 1e-4)) + 4) ** 2 * 0.05
    return 1 / (1 + math.exp(distance + decay - 3))


class Formula:
    """Runs trials by the formula: an epoch closes half of what is missing.

    Attributes:
      seconds: that an epoch takes.
      before: is called with the request before the first epoch: to crash, say.
    """

    def __init__(self, seconds: float = 0.0, before: Callable[[Request], None] = lambda request: None):
        self.seconds, self.before = seconds, before

    def run(self, request: Request, verdict: Verdict) -> Outcome:
        size = float(sum(request.values.get("model.hidden", [128, 64])))
        costs = {"parameters": size, "size_bytes": 4 * size}
        if why := verdict(0, costs):
            return Outcome({**costs, "seconds": 0.0}, {}, 0, 0.0, why)
        self.before(request)
        course, stopped = list(request.parent_course.get("auc", [])), None
        began = len(course)
        for epoch in range(began, request.last_epoch):
            time.sleep(self.seconds)
            course.append(quality(request.values) * (1 - 0.5 ** (epoch + 1)))
            if stopped := verdict(epoch + 1, {"auc": course[-1], **costs}):
                break
        metrics = {"auc": max(course), **costs, "seconds": 1.0}
        return Outcome(metrics, {"auc": course}, len(course) - began, self.seconds * (len(course) - began), stopped)


def problem(folder: Path, searched: Mapping[str, Parameter] | None = None, **tuner: Any) -> Problem:
    """Return a search in a folder, with settings as `tuner:` has them; one worker unless it says otherwise."""
    config = TunerConfig.model_validate({"algorithm": "random", "workers": 1} | tuner)
    setting = Setting(
        "models.tabular",
        OWN_MODEL,
        FitConfig(epochs=EPOCHS),
        Judge(config.objective, "binary"),
        keeps_checkpoints=config.algorithm.kind == "hyperband",
    )
    return Problem(config, space() if searched is None else searched, setting, None, str(folder))  # type: ignore[arg-type]


def die(request: Request) -> None:
    """End the process of a worker as a crash in native code does."""
    os._exit(11)
