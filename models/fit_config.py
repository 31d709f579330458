"""FitConfig: how a model is trained, as a config file says it."""

from __future__ import annotations

from typing import Literal

import pydantic

from models.precision import Precision
from models.scaling import Scaling
from models.tuning.space import Float, Parameter


class FitConfig(pydantic.BaseModel):
    """How a model is trained."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    seed: int = pydantic.Field(1, ge=0, description="Same data, config and seed give the same metrics.")
    epochs: int = pydantic.Field(30, ge=1, description="Upper bound; early stopping usually ends sooner.")
    batch_size: int = pydantic.Field(
        256,
        ge=1,
        description="Of one replica; the global batch is as many times that as there are replicas.",
    )
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = pydantic.Field(2e-3, gt=0, description="Of one replica.")
    learning_rate_scaling: Scaling = pydantic.Field(
        "linear", description="With the number of replicas, or its square root; none: the same for any."
    )
    warmup_epochs: float | None = pydantic.Field(
        None,
        ge=0,
        description="The rate rises over so many; default: where it is scaled 5, or a sixth of `epochs` if that is less.",
    )
    weight_decay: float = pydantic.Field(1e-4, ge=0, description="For adamw.")
    early_stopping_patience: int | None = pydantic.Field(
        4,
        ge=1,
        description="Epochs without a better eval loss before stopping; null: all epochs, and the last weights are kept.",
    )
    learning_rate_schedule: Literal["plateau", "cosine"] = pydantic.Field(
        "plateau", description="plateau: drops when the eval loss does; cosine: falls to 0 over all epochs."
    )
    steps_per_execution: pydantic.PositiveInt | Literal["auto"] = pydantic.Field(
        "auto",
        description="Batches per call of the training step. auto: up to 32, but 1 where a callback looks at every batch or "
        "nobody knows how many batches there are.",
    )
    jit_compile: bool = pydantic.Field(False, description="Compile the training step with XLA; pays on accelerators.")
    precision: Precision = pydantic.Field(
        "float32", description="mixed_*: layers compute in half precision, weights, output and what is exported are float32."
    )
    deterministic: bool = pydantic.Field(
        True,
        description="Only kernels that give the same bits every time; false: seeds are fixed, rounding is not.",
    )
    warm_start: bool = pydantic.Field(
        False,
        description="Begin with the weights of the latest blessed model, if there is one; trials of a search never do.",
    )
    checkpoint_minutes: float | None = pydantic.Field(
        5.0, gt=0, description="At most so long between checkpoints, within an epoch too; null: only at the ends of epochs."
    )
    checkpoint_steps: int | None = pydantic.Field(
        None, ge=1, description="A checkpoint after so many steps, whatever it costs; default: none for that reason."
    )
    reduce_lr_patience: int = pydantic.Field(1, ge=1, description="plateau: epochs without a better eval loss before a drop.")
    reduce_lr_factor: float = pydantic.Field(0.3, gt=0, lt=1, description="plateau: what the rate is multiplied by.")


def search_space(config: FitConfig) -> dict[str, Parameter]:
    """Return what a search changes unless the config says otherwise: {key: parameter}."""
    return {"learning_rate": Float(min=config.learning_rate / 10, max=config.learning_rate * 10, scale="log")}
