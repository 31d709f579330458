"""Tuning: where the trials of a search run."""

from __future__ import annotations

from typing import Literal

import pydantic

from pipeline.vertex.machines import Machine


class Tuning(pydantic.BaseModel):
    """Where the trials of a search run."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    service: Literal["keras_tuner", "vizier"] = pydantic.Field(
        "keras_tuner", description="Trials in processes of one machine, or a hyperparameter tuning job of Vertex AI."
    )
    parallel_trials: int = pydantic.Field(2, ge=1, description="Of vizier, where the config says `workers: auto`.")
    trial: Machine = pydantic.Field(Machine(machine_type="e2-standard-4"), description="Of vizier: what each trial runs on.")
    spot: bool = False
