"""What every edge variant costs and gives, whether it may be pushed, and which one is."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import tf_keras as keras

from models.compression import tflite
from models.compression.quantization import EXPECTED_TYPES, REFERENCE, CompressionConfig, EdgeGate, Variant, convert
from models.heads import Kind
from models.metrics import evaluate, loss_of

Batches = Callable[[], Iterable[tuple[Mapping[str, np.ndarray], np.ndarray]]]


@dataclass(frozen=True)
class VariantReport:
    """What was measured on one variant. `delta` is its metric minus the reference's; `error` says why it did not pass."""

    name: str
    techniques: tuple[str, ...] = ()
    size_bytes: int = 0
    gzip_bytes: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    delta: Mapping[str, float] = field(default_factory=dict)
    latency_us: float = 0.0
    sparsity: float = 0.0
    tensor_types: Mapping[str, int] = field(default_factory=dict)
    passed: bool = False
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Compressed:
    """All variants, their bytes, and the name of the one to push (None if none passed)."""

    reports: Sequence[VariantReport]
    contents: Mapping[str, bytes]
    chosen: str | None


def compress(
    model: keras.Model,
    kind: Kind,
    metrics: Sequence[str],
    config: CompressionConfig,
    representative: Mapping[str, np.ndarray],
    evaluation: Batches,
) -> Compressed:
    """Make every variant, measure it on the whole eval split in the TFLite interpreter, gate it, choose the smallest.

    Args:
      model: the trained model.
      kind: of the label.
      metrics: what is measured.
      config: variants and gate.
      representative: training examples, {name: (n, width)}.
      evaluation: gives the batches of the eval split anew.

    Returns:
      The variants. One that cannot be converted, or whose technique did not act, has failed with the reason in `error`.
    """
    reports: list[VariantReport] = []
    contents: dict[str, bytes] = {}
    for variant in config.variants:
        report, content = _measured(model, variant, kind, metrics, representative, evaluation)
        if content is not None:
            contents[variant] = content
        reports.append(_gated(report, reports[0] if reports else report, kind, config.gate))
    passed = [report for report in reports if report.passed]
    return Compressed(reports, contents, min(passed, key=lambda r: r.size_bytes).name if passed else None)


def _measured(
    model: keras.Model,
    variant: Variant,
    kind: Kind,
    metrics: Sequence[str],
    representative: Mapping[str, np.ndarray],
    evaluation: Batches,
) -> tuple[VariantReport, bytes | None]:
    report = VariantReport(variant, () if variant == REFERENCE else (variant,))
    try:
        content = convert(model, variant, representative)
        edge = tflite.EdgeModel(content)
        types = edge.tensor_types()
        _check_acted(variant, types)
        labels, outputs = tflite.scores(edge, evaluation())
        measured = replace(
            report,
            size_bytes=len(content),
            gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
            metrics=evaluate(kind, metrics, labels, outputs),
            latency_us=edge.latency_us({name: x[:1] for name, x in representative.items()}),
            sparsity=sparsity(model),
            tensor_types=types,
        )
    except Exception as error:  # the converter raises whatever its passes raise: a failed variant, not a failed run
        return replace(report, error=f"{type(error).__name__}: {error}"), None
    return measured, content


def _check_acted(variant: Variant, types: Mapping[str, int]) -> None:
    if not EXPECTED_TYPES[variant] & types.keys():
        raise ValueError(f"'{variant}' did nothing: the model holds {dict(types)}, none of {sorted(EXPECTED_TYPES[variant])}.")


def _gated(report: VariantReport, reference: VariantReport, kind: Kind, gate: EdgeGate) -> VariantReport:
    if report.error:
        return report
    if not reference.metrics:
        return replace(report, error="The float32 reference failed, so no loss can be measured.")
    delta = {name: report.metrics[name] - reference.metrics[name] for name in report.metrics}
    loss = loss_of(kind, gate.metric, report.metrics[gate.metric], reference.metrics[gate.metric])
    error = None
    if not math.isfinite(loss) or loss > gate.max_loss:
        error = f"{gate.metric} is worse than float32 by {loss:.5f}, at most {gate.max_loss:g} is allowed"
    elif gate.max_size_bytes is not None and report.size_bytes > gate.max_size_bytes:
        error = f"{report.size_bytes:,} bytes, at most {gate.max_size_bytes:,} are allowed"
    return replace(report, delta=delta, passed=error is None, error=error)


def sparsity(model: keras.Model) -> float:
    """Return the share of zeros among the weights of kernels and embeddings."""
    weights = [w.numpy() for w in model.trainable_weights if len(w.shape) > 1]
    return float(sum((w == 0).sum() for w in weights) / sum(w.size for w in weights)) if weights else 0.0
