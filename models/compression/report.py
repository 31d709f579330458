"""What every edge variant costs and gives, whether it may be pushed, and which one is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from models.compression import evaluation
from models.compression.config import ChoiceWeights, CompressionConfig
from models.compression.gates import EdgeGateResult, judge
from models.compression.plan import Plan, VariantJob
from models.compression.recipes import REFERENCE, TECHNIQUES
from models.compression.work import FACTS_FILE, MODEL_FILE, SCORES_FILE, TIMES_FILE
from models.heads import Kind
from models.metrics import evaluate, loss_of

# A raw-feature model is the same network behind the same transform: scores differ where rounding meets a step of int8.
RAW_TOLERANCE = 1e-4


@dataclass(frozen=True)
class VariantReport:
    """What was measured on one variant.

    Attributes:
      name: of the recipe.
      techniques: its steps, in order.
      inputs: whether it takes transformed features or raw columns.
      layout: for packed inputs, the transformed features of each; empty when every feature is an input of its own.
      size_bytes, gzip_bytes: of the flatbuffer, and after gzip -9.
      parameters: numbers it holds.
      metrics: on the whole eval split.
      delta: its metrics minus the reference's.
      slices: by slice, with the delta of the gated metric where both are defined.
      agreement: how far its scores are from the reference's.
      calibration: how true its probabilities are.
      latency_us: median of one example on one thread, in microseconds; None when it could not be measured.
      rows_per_second: in batches, on one thread.
      arena_bytes: memory of the tensors between input and output for one example; kernels may take more while they run.
      interface: every input and output, as `EdgeModel.describe` gives them.
      sparsity: share of zeros in its weights.
      evidence: every weight with type, zeros and distinct values; types of activations; operators.
      left_in_float: layers that quantization-aware training could not quantize.
      gates: every gate with its bound and value.
      passed: whether it may be pushed.
      error: why not, None if it may.
    """

    name: str
    techniques: tuple[str, ...] = ()
    inputs: Literal["transformed", "raw"] = "transformed"
    layout: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    size_bytes: int = 0
    gzip_bytes: int = 0
    parameters: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    delta: Mapping[str, float] = field(default_factory=dict)
    slices: tuple[Mapping[str, Any], ...] = ()
    agreement: Mapping[str, float | None] = field(default_factory=dict)
    calibration: Mapping[str, float] = field(default_factory=dict)
    latency_us: float | None = None
    rows_per_second: float | None = None
    arena_bytes: int = 0
    interface: Mapping[str, Any] = field(default_factory=dict)
    sparsity: float = 0.0
    evidence: Mapping[str, Any] = field(default_factory=dict)
    left_in_float: tuple[str, ...] = ()
    gates: tuple[Mapping[str, Any], ...] = ()
    passed: bool = False
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Compressed:
    """All variants and which are pushed.

    Attributes:
      reports: the reference first.
      files: {variant: its flatbuffer}.
      chosen: the variant to push; None when none passed.
      chosen_raw: the one with raw inputs to push beside it; None when there is none, or none passed.
    """

    reports: Sequence[VariantReport]
    files: Mapping[str, str]
    chosen: str | None
    chosen_raw: str | None = None

    @property
    def blessed(self) -> bool:
        """Whether there is one to push, and one with raw inputs beside it if there should be."""
        wants_raw = any(report.inputs == "raw" for report in self.reports)
        return self.chosen is not None and (self.chosen_raw is not None or not wants_raw)

    def to_dict(self) -> dict[str, Any]:
        variants = [report.to_dict() for report in self.reports]
        return {"variants": variants, "chosen": self.chosen, "chosen_raw": self.chosen_raw, "blessed": self.blessed}

    def content(self, name: str) -> bytes:
        """Return the flatbuffer of a variant."""
        with open(self.files[name], "rb") as file:
            return file.read()


def read_results(plan: Plan, outcomes: Mapping[str, str | None]) -> Compressed:
    """Judge what the jobs have left.

    Args:
      plan: whose jobs have run.
      outcomes: {job: None, or why it failed}.

    Returns:
      Every variant; one that failed or did not pass has the reason in `error`.
    """
    reader = _Reader(plan, outcomes)
    reports = [reader.report(job) for job in plan.jobs if isinstance(job, VariantJob)]
    files = {job.variant: plan.path(job.name, MODEL_FILE) for job in reader.made}
    chosen, raw = (
        choose([r for r in reports[1:] if r.inputs == inputs], reports[0], plan.config, plan.problem.head.kind)
        for inputs in ("transformed", "raw")
    )
    return Compressed(reports, files, chosen, raw)


class _Reader:
    """Reads the results of variant jobs; the reference comes first."""

    def __init__(self, plan: Plan, outcomes: Mapping[str, str | None]):
        self._plan, self._outcomes = plan, outcomes
        self._kind, self._names = plan.problem.head.kind, plan.problem.metrics
        self._labels = np.asarray(plan.problem.evaluation.labels)
        self._slices = plan.problem.evaluation.slices
        self._untimed = outcomes.get("timing")
        self._times = self._json("timing", TIMES_FILE) if self._untimed is None else {}
        self._reference: tuple[VariantReport, np.ndarray] | None = None
        self.made: list[VariantJob] = []

    def report(self, job: VariantJob) -> VariantReport:
        """Return the judged report of a variant."""
        techniques = {recipe.name: recipe.techniques for recipe in self._plan.config.recipes}
        report = VariantReport(job.variant, techniques.get(job.variant, ()), "raw" if job.raw else "transformed")
        if (error := self._outcomes[job.name]) is not None:
            return replace(report, error=error)
        scores = np.load(self._plan.path(job.name, SCORES_FILE))
        report = self._measured(report, job, scores)
        self.made.append(job)
        if job.variant == REFERENCE:
            self._reference = report, scores
        if self._reference is None:
            return replace(report, error="The float32 reference failed, so no loss can be measured.")
        return self._judged(report, job, scores, *self._reference)

    def _measured(self, report: VariantReport, job: VariantJob, scores: np.ndarray) -> VariantReport:
        with open(self._plan.path(job.name, MODEL_FILE), "rb") as file:
            content = file.read()
        facts, times = self._json(job.name, FACTS_FILE), self._times.get(job.name, {})
        return replace(
            report,
            # A step that is not required may have found nothing to do.
            techniques=tuple(t for t in report.techniques if t != TECHNIQUES["pack"] or facts["layout"]),
            layout={name: tuple(parts) for name, parts in facts["layout"].items()},
            size_bytes=len(content),
            gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
            parameters=facts["parameters"],
            metrics=evaluate(self._kind, self._names, self._labels, scores),
            calibration=evaluation.calibration(self._kind, self._labels, scores),
            latency_us=times.get("latency_us"),
            rows_per_second=times.get("rows_per_second"),
            arena_bytes=facts["arena_bytes"],
            interface=facts["interface"],
            sparsity=facts["sparsity"],
            evidence={key: facts[key] for key in ("weights", "activations", "operators")},
            left_in_float=tuple(facts["left_in_float"]),
        )

    def _judged(
        self, report: VariantReport, job: VariantJob, scores: np.ndarray, reference: VariantReport, reference_scores: np.ndarray
    ) -> VariantReport:
        gates = self._plan.config.gates
        delta = {name: report.metrics[name] - reference.metrics[name] for name in report.metrics}
        compared = evaluation.agreement(self._kind, reference_scores, scores)
        slices = self._compared_slices(scores, reference_scores)
        report = replace(report, delta=delta, agreement=asdict(compared), slices=slices)
        results = judge(report, reference, gates, self._kind)
        if (parity := self._json(job.name, FACTS_FILE).get("parity")) is not None:
            # In float every row must agree; a last digit that meets a step of int8 moves a score by that step.
            which = "mean" if report.techniques else "largest"
            results.append(_parity(which, parity[which], reference_scores))
        reasons = [result.reason for result in results if not result.passed]
        if self._untimed is not None and self._plan.config.choose != "smallest":
            reasons.append(f"latency, which `choose` looks at, was not measured: {self._untimed}")
        if collapsed := evaluation.collapse(self._kind, reference_scores, scores):
            reasons.insert(0, collapsed)
        gated = tuple(asdict(result) for result in results)
        return replace(report, gates=gated, passed=not reasons, error="; ".join(reasons) or None)

    def _compared_slices(self, scores: np.ndarray, reference: np.ndarray) -> tuple[dict[str, Any], ...]:
        mine, others = (
            evaluation.by_slice(self._kind, self._names, self._labels, x, self._slices) for x in (scores, reference)
        )
        return tuple(
            asdict(m) | {"delta": {name: m.metrics[name] - o.metrics[name] for name in m.metrics.keys() & o.metrics.keys()}}
            for m, o in zip(mine, others, strict=True)
        )

    def _json(self, job: str, file: str) -> dict[str, Any]:
        with open(self._plan.path(job, file), encoding="utf-8") as opened:
            return json.load(opened)


def _parity(which: str, difference: float, reference: np.ndarray) -> EdgeGateResult:
    """Hold a raw-feature model to the scores of the same flatbuffer behind the transform; a number may have any unit."""
    bound = RAW_TOLERANCE * max(1.0, float(np.abs(reference).max()))
    name = f"edge raw-feature parity, {which} score difference"
    return EdgeGateResult(name, f"<= {bound:g}", difference, difference <= bound)


def choose(candidates: Sequence[VariantReport], reference: VariantReport, config: CompressionConfig, kind: Kind) -> str | None:
    """Return the name of the variant to push by the config's policy, None when none passed."""
    passed = [report for report in candidates if report.passed]
    policy, metric = config.choose, config.gates.metric

    def cost(report: VariantReport) -> float:
        if isinstance(policy, ChoiceWeights):
            loss = max(0.0, loss_of(kind, metric, report.metrics[metric], reference.metrics[metric]))
            size = report.size_bytes / reference.size_bytes
            latency = _latency(report) / _latency(reference)
            return policy.size * size + policy.latency * latency + policy.loss * loss
        return report.size_bytes if policy == "smallest" else _latency(report)

    return min(passed, key=cost).name if passed else None


def _latency(report: VariantReport) -> float:
    assert report.latency_us is not None  # without times nothing passes a policy that looks at them
    return report.latency_us
