"""Gates a candidate must pass to be blessed, as plain functions of numbers: each leaves its bound and its value behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import pydantic

from models.heads import Kind
from models.metrics import METRICS, loss_of

DECIMALS = 6


class _Gate(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: str
    metric: str = pydantic.Field(..., description="Name of a metric of the label's kind.")


class BoundGate(_Gate):
    """The metric over the whole eval split is good enough."""

    kind: Literal["bound"]
    bound: float = pydantic.Field(..., description="Worst value that passes.")


class BlessedGate(_Gate):
    """Not worse than the latest blessed model by more than max_loss; passed when there is none yet."""

    kind: Literal["blessed"]
    max_loss: float = pydantic.Field(0.0, ge=0, description="In the metric's unit.")


class SimpleBaselineGate(_Gate):
    """Better than the linear model trained in the same run, by at least min_gain."""

    kind: Literal["simple_baseline"]
    min_gain: float = pydantic.Field(0.0, ge=0, description="In the metric's unit.")


class WorstSliceGate(_Gate):
    """The metric in the worst slice is good enough; slices with fewer examples are too noisy to judge."""

    kind: Literal["worst_slice"]
    slice: tuple[str, ...] = pydantic.Field(..., min_length=1, description="One of `evaluation.slices`.")
    bound: float = pydantic.Field(..., description="Worst value that passes.")
    min_examples: int = pydantic.Field(100, ge=1, description="Smaller slices are not judged.")


Gate = Annotated[BoundGate | BlessedGate | SimpleBaselineGate | WorstSliceGate, pydantic.Field(discriminator="kind")]


@dataclass(frozen=True)
class SliceMetrics:
    """Metrics of one slice; `columns` and `values` are empty for the whole split."""

    columns: tuple[str, ...]
    values: tuple[str, ...]
    examples: int
    metrics: Mapping[str, float]

    @property
    def name(self) -> str:
        return ",".join(f"{column}:{value}" for column, value in zip(self.columns, self.values, strict=True))


@dataclass(frozen=True)
class Evaluation:
    """All that gates look at."""

    kind: Kind
    candidate: Mapping[str, float]
    baseline: Mapping[str, float] | None
    simple_baseline: Mapping[str, float]
    slices: Sequence[SliceMetrics]


@dataclass(frozen=True)
class GateResult:
    """One row of the table of gates."""

    name: str
    slice: str | None
    bound: str
    value: float | None
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(gates: Sequence[Gate], evaluation: Evaluation) -> list[GateResult]:
    """Apply every gate.

    Returns:
      One result per gate, in order. A value that is missing or not a number fails.
    """
    return [_JUDGES[gate.kind](gate, evaluation) for gate in gates]


def _result(
    gate: _Gate, evaluation: Evaluation, value: float | None, bound: float, slice_name: str | None = None
) -> GateResult:
    higher = METRICS[evaluation.kind][gate.metric].higher_is_better
    passed = value is not None and math.isfinite(value) and _holds(value, bound, higher)
    name = gate.metric if gate.kind == "bound" else f"{gate.metric} ({_TITLES[gate.kind]})"
    return GateResult(name, slice_name, f"{'>=' if higher else '<='} {bound:.{DECIMALS}g}", _rounded(value), passed)


def _holds(value: float, bound: float, higher_is_better: bool) -> bool:
    # The bound may itself be a sum: its last digits are noise.
    if math.isclose(value, bound, rel_tol=1e-9):
        return True
    return value > bound if higher_is_better else value < bound


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), DECIMALS)


def _judge_bound(gate: BoundGate, evaluation: Evaluation) -> GateResult:
    return _result(gate, evaluation, evaluation.candidate.get(gate.metric), gate.bound)


def _judge_blessed(gate: BlessedGate, evaluation: Evaluation) -> GateResult:
    value = evaluation.candidate.get(gate.metric)
    if evaluation.baseline is None:
        finite = value is not None and math.isfinite(value)
        return GateResult(f"{gate.metric} ({_TITLES[gate.kind]})", None, "no blessed model yet", _rounded(value), finite)
    return _result(gate, evaluation, value, _shifted(gate.metric, evaluation, evaluation.baseline, -gate.max_loss))


def _judge_simple_baseline(gate: SimpleBaselineGate, evaluation: Evaluation) -> GateResult:
    bound = _shifted(gate.metric, evaluation, evaluation.simple_baseline, gate.min_gain)
    return _result(gate, evaluation, evaluation.candidate.get(gate.metric), bound)


def _judge_worst_slice(gate: WorstSliceGate, evaluation: Evaluation) -> GateResult:
    # TFMA sorts the columns of a slice by name.
    judged = [s for s in evaluation.slices if s.columns == tuple(sorted(gate.slice)) and s.examples >= gate.min_examples]
    # A metric that is not defined in a slice (one class only) says nothing about it.
    judged = [s for s in judged if math.isfinite(s.metrics.get(gate.metric, math.nan))]
    if not judged:
        return _result(gate, evaluation, None, gate.bound, ",".join(gate.slice))
    worst = max(judged, key=lambda s: loss_of(evaluation.kind, gate.metric, s.metrics[gate.metric], 0.0))
    return _result(gate, evaluation, worst.metrics[gate.metric], gate.bound, worst.name)


def _shifted(metric: str, evaluation: Evaluation, reference: Mapping[str, float], gain: float) -> float:
    """Return the value that is better than the reference by `gain`."""
    sign = 1 if METRICS[evaluation.kind][metric].higher_is_better else -1
    return reference.get(metric, math.nan) + sign * gain


_TITLES = {"blessed": "vs blessed", "simple_baseline": "vs linear", "worst_slice": "worst slice"}
_JUDGES: dict[str, Callable[[Any, Evaluation], GateResult]] = {
    "bound": _judge_bound,
    "blessed": _judge_blessed,
    "simple_baseline": _judge_simple_baseline,
    "worst_slice": _judge_worst_slice,
}
