"""What tests of searches by Vizier have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.tuning.config import TunerConfig
from models.tuning.space import Float

# Reads JSON strictly into a message of the API of that name, and writes it as JSON again.
Parsed = Callable[[str, dict[str, Any]], dict[str, Any]]
RATE = {"fit.rate": Float(min=1e-4, max=0.1, scale="log")}


def config(**changes: Any) -> TunerConfig:
    return TunerConfig.model_validate(changes)
