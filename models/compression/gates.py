"""Gates of a variant, as plain functions of what was measured: each leaves its bound and its value behind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.compression.config import EdgeGates
from models.heads import Kind
from models.metrics import loss_of

_DECIMALS = 6


class Measured(Protocol):
    """What gates look at."""

    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def slices(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def agreement(self) -> Mapping[str, float | None]: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def latency_us(self) -> float | None: ...


@dataclass(frozen=True)
class EdgeGateResult:
    """One gate: `value` must hold `bound`; None is a value that could not be measured, which fails."""

    name: str
    bound: str
    value: float | None
    passed: bool
    slice: str | None = None

    @property
    def reason(self) -> str:
        """What to read when it is not passed."""
        where = f" in slice {self.slice}" if self.slice else ""
        return f"{self.name}{where} is {'none' if self.value is None else _shown(self.value)}, bound {self.bound}"


def judge(measured: Measured, reference: Measured, gates: EdgeGates, kind: Kind) -> list[EdgeGateResult]:
    """Apply every configured gate.

    Args:
      measured: a variant.
      reference: the float32 model.
      gates: what is asked for.
      kind: of the label.

    Returns:
      One result per configured gate, the loss first.
    """
    loss = loss_of(kind, gates.metric, measured.metrics[gates.metric], reference.metrics[gates.metric])
    return [_at_most(f"edge {gates.metric} loss", loss, gates.max_loss), *_optional(measured, gates, kind)]


def _optional(measured: Measured, gates: EdgeGates, kind: Kind) -> Iterator[EdgeGateResult]:
    if gates.max_slice_loss is not None:
        name, loss = _worst_slice(measured, gates, kind)
        yield _at_most(f"edge {gates.metric} loss (worst slice)", loss, gates.max_slice_loss, name)
    if gates.max_size_bytes is not None:
        yield _at_most("edge bytes", measured.size_bytes, gates.max_size_bytes)
    if gates.max_latency_us is not None:
        yield _at_most("edge latency us", measured.latency_us, gates.max_latency_us)
    if gates.max_mean_difference is not None:
        yield _at_most("edge mean score difference", measured.agreement.get("mean_difference"), gates.max_mean_difference)
    if gates.min_agreement is not None:
        same = measured.agreement.get("same_label")
        passed = same is not None and same >= gates.min_agreement
        yield EdgeGateResult("edge same label", f">= {gates.min_agreement:g}", _rounded(same), passed)


def _worst_slice(measured: Measured, gates: EdgeGates, kind: Kind) -> tuple[str | None, float | None]:
    """Return the slice that loses most, among those that are large enough and have the metric in both models."""
    losses = {
        s["slice"]: loss_of(kind, gates.metric, s["delta"][gates.metric], 0.0)
        for s in measured.slices
        if s["examples"] >= gates.min_slice_examples and gates.metric in s["delta"]
    }
    worst = max(losses, key=lambda name: losses[name], default=None)
    return worst, losses[worst] if worst is not None else None


def _at_most(name: str, value: float | None, bound: float, slice_name: str | None = None) -> EdgeGateResult:
    # A loss is a difference: 0.75 - 0.745 is a little more than 0.005 in binary.
    passed = value is not None and math.isfinite(value) and (value <= bound or math.isclose(value, bound, rel_tol=1e-9))
    return EdgeGateResult(name, f"<= {_shown(bound)}", _rounded(value), passed, slice_name)


def _shown(number: float) -> str:
    return f"{number:.10g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), _DECIMALS)
