"""Recipes: steps in an order that makes sense, and presets for users who need not know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic

from models.compression.clustering import Cluster
from models.compression.distillation import Distill
from models.compression.packing import Pack
from models.compression.pruning import Prune
from models.compression.quantization import Quantize
from models.compression.quantization_aware import QuantizeAware

Step = Annotated[Distill | Prune | Cluster | QuantizeAware | Pack | Quantize, pydantic.Field(discriminator="kind")]

TECHNIQUES = {
    "distill": "distillation",
    "prune": "pruning",
    "cluster": "clustering",
    "quantize_aware": "quantization_aware_training",
    "pack": "packing",
    "float16": "float16",
    "dynamic": "dynamic",
    "int8": "int8",
    "int16x8": "int16x8",
}

_PACK_IF_POSSIBLE = {"kind": "pack", "required": False}
# What each is for is in docs/compression.md, with measurements.
PRESETS: dict[str, tuple[Any, ...]] = {
    "safe": ("float16",),
    "balanced": ({"kind": "prune", "sparsity": 0.6}, "quantize_aware"),
    "fastest": ("distill", _PACK_IF_POSSIBLE, "dynamic"),
    "smallest": ("distill", _PACK_IF_POSSIBLE, "int8"),
    "raw": (),
}
REFERENCE = "float32"
RAW = "raw"


class Recipe(pydantic.BaseModel):
    """Steps from the trained model to a `.tflite`.

    In a config file a recipe may also be the name of a preset, the name of one step, or a bare list of steps; `steps` may be
    the name of a preset, and a step its kind alone.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str = pydantic.Field(..., pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Default: the kinds of the steps.")
    steps: tuple[Step, ...] = pydantic.Field((), description="In order; see the kinds of steps below.")
    inputs: Literal["transformed", "raw"] = pydantic.Field(
        "transformed", description="raw: the transform is inside, the model takes raw columns. The preset `raw` does that only."
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value, "steps": _steps_named(value)} | ({"inputs": "raw"} if value == RAW else {})
        if isinstance(value, list | tuple):
            value = {"steps": value}
        if isinstance(value, dict) and isinstance(value.get("steps"), str):
            value = value | {"steps": _steps_named(value["steps"])}
        if not isinstance(value, dict) or not isinstance(value.get("steps", ()), list | tuple):
            return value
        if "steps" not in value:
            return value
        steps = [_step(step) for step in value["steps"]]
        # A recipe without steps, or with one that has no kind, is an error about its steps: not about a name as well.
        name = "-".join(filter(None, map(_kind, steps))) or "recipe"
        return {"name": name, **value, "steps": steps}

    @pydantic.field_validator("steps")
    @classmethod
    def _in_order(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        check_order([step.kind for step in steps])
        aware = any(step.kind == "quantize_aware" for step in steps)
        if aware and isinstance(steps[-1], Quantize) and steps[-1].quantizer == "litert":
            raise ValueError(
                "'quantize_aware' puts ranges into the model that only the converter reads: no `quantizer: litert`."
            )
        return steps

    @pydantic.model_validator(mode="after")
    def _raw_in_float(self) -> Recipe:
        if not self.steps and self.inputs == "transformed":
            raise ValueError(f"'{self.name}' has no steps: it would be the reference, '{REFERENCE}', which is always made.")
        if "steps" not in self.model_fields_set:
            raise ValueError(f"'{self.name}' names no steps. `steps: raw` is the trained network, with the transform inside.")
        last = self.steps[-1] if self.steps else None
        if self.inputs == "raw" and isinstance(last, Quantize) and last.io == "integer":
            raise ValueError("`inputs: raw` needs `io: float`: the transform before the model computes in float.")
        return self

    @property
    def techniques(self) -> tuple[str, ...]:
        """What the report calls the steps."""
        return tuple(TECHNIQUES[step.kind] for step in self.steps)

    def has(self, kind: str) -> bool:
        """Return whether one of the steps is of this kind."""
        return any(step.kind == kind for step in self.steps)


def _steps_named(name: str) -> Sequence[Any]:
    if name in PRESETS:
        return PRESETS[name]
    if name in TECHNIQUES:
        return (name,)
    presets, steps = ", ".join(PRESETS), ", ".join(TECHNIQUES)
    raise ValueError(f"unknown recipe '{name}'. Presets: {presets}. Single steps: {steps}. Or give a list of steps.")


def _step(step: Any) -> Any:
    if not isinstance(step, str):
        return step
    if step not in TECHNIQUES:
        raise ValueError(f"unknown step '{step}'. Expected one of: {', '.join(TECHNIQUES)}.")
    return {"kind": step}


def _kind(step: Any) -> str:
    """Return what a step is called in the name of a recipe."""
    kind, by = (step.get(key, "") if isinstance(step, dict) else getattr(step, key, "") for key in ("kind", "quantizer"))
    return f"{kind}-{by}" if by == "litert" else str(kind)


def check_order(kinds: Sequence[str]) -> None:
    """Refuse an order of steps that undoes itself.

    Raises:
      ValueError: with the rule that is broken.
    """
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"'{kind}' comes twice; every step may come once.")
    for position, kind in enumerate(kinds):
        before, after = kinds[:position], kinds[position + 1 :]
        if kind == "distill" and before:
            raise ValueError(f"'distill' must come first: a student begins anew, what '{before[-1]}' did would be lost.")
        if kind == "prune" and "cluster" in before:
            raise ValueError(
                "'prune' comes after 'cluster' and would break the clusters. Put it before: clustering then keeps the zeros."
            )
        if kind == "quantize_aware" and (others := [later for later in after if later != "int8"]):
            raise ValueError(f"'quantize_aware' must come last, or before 'int8' only; found '{others[0]}' after it.")
        if kind in ("float16", "dynamic", "int8", "int16x8") and after:
            raise ValueError(f"quantization must come last; found '{after[0]}' after '{kind}'.")
