"""What the compression stage makes, and what a variant must hold to be pushed."""

from __future__ import annotations

from typing import Literal

import pydantic

from models.compression.quantization import Representative
from models.compression.recipes import REFERENCE, Recipe


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EdgeGates(_Section):
    """What a variant may cost against the float32 `.tflite` of the trained model, on the whole eval split."""

    metric: str = pydantic.Field(..., description="Name of a metric of the label's kind.")
    max_loss: float = pydantic.Field(0.005, ge=0, description="In the metric's unit.")
    max_slice_loss: float | None = pydantic.Field(
        None, ge=0, description="The same in the worst of `evaluation.slices`; default: not judged."
    )
    min_slice_examples: int = pydantic.Field(100, ge=1, description="Smaller slices are not judged.")
    max_size_bytes: int | None = pydantic.Field(None, ge=1)
    max_latency_us: float | None = pydantic.Field(None, gt=0, description="Median of one example, one thread, this machine.")
    min_agreement: float | None = pydantic.Field(
        None, gt=0, le=1, description="Share of rows that get the same label as from the reference; not for regression."
    )
    max_mean_difference: float | None = pydantic.Field(None, gt=0, description="Mean absolute difference of scores.")


class ChoiceWeights(_Section):
    """Takes the variant whose weighted sum of size, latency (both relative to the reference) and loss is smallest."""

    size: float = pydantic.Field(1.0, ge=0)
    latency: float = pydantic.Field(1.0, ge=0)
    loss: float = pydantic.Field(0.0, ge=0, description="Per unit of the gate's metric.")


class Limits(_Section):
    """What one step of one recipe may take. Each runs in a process of its own: a crash costs a variant, not the run."""

    seconds: int = pydantic.Field(900, ge=1)
    memory_mb: int = pydantic.Field(8192, ge=256)
    processes: int | None = pydantic.Field(None, ge=1, description="Side by side; default: the number of cores.")


class CompressionConfig(_Section):
    """The edge model: which variants are made, and what one must hold to be pushed."""

    recipes: tuple[Recipe, ...] = pydantic.Field(
        ("safe", "smallest"), validate_default=True, min_length=1, description="Presets, steps, or lists of steps; see above."
    )
    gates: EdgeGates = pydantic.Field(..., description="What a variant must hold.")
    choose: Literal["smallest", "fastest"] | ChoiceWeights = pydantic.Field(
        "smallest", description="Which of those that pass is pushed; of those with raw inputs another one, beside it."
    )
    representative: Representative = Representative()
    server_needs_edge: bool = pydantic.Field(False, description="Push no server model when no variant passes.")
    limits: Limits = Limits()

    @pydantic.field_validator("recipes")
    @classmethod
    def _names(cls, recipes: tuple[Recipe, ...]) -> tuple[Recipe, ...]:
        names = [recipe.name for recipe in recipes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two recipes are named '{name}'. Give one another `name`.")
        if all(recipe.inputs == "raw" for recipe in recipes):
            raise ValueError(
                "every recipe has raw inputs; the package's model.tflite takes transformed ones. Add such a recipe."
            )
        if REFERENCE in names:
            raise ValueError(f"'{REFERENCE}' is the reference, which is always made. Give the recipe another name.")
        return recipes
