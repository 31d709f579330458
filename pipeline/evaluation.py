"""TFMA behind two functions: what to evaluate, and what came out, in this project's metric names."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from tensorflow_model_analysis.proto import config_pb2

from models.heads import Kind
from pipeline import evaluation_files
from pipeline.gates import Evaluation, SliceMetrics
from preprocessing.features import transformed_name

CANDIDATE, BASELINE = "candidate", "baseline"
MEAN_LABEL = "mean_label"

# Metrics of ours that TFMA imports by these names, where it evaluates.
_OWN_CLASSES = {"MulticlassLogLoss": "pipeline.tfma_metrics"}
# Our metric name -> TFMA's class. TFMA has no root of the mean squared error: read_evaluation takes it.
_TFMA_CLASSES: dict[Kind, dict[str, str]] = {
    "binary": {"auc": "AUC", "accuracy": "BinaryAccuracy", "log_loss": "BinaryCrossEntropy"},
    "multiclass": {"accuracy": "SparseCategoricalAccuracy", "log_loss": "MulticlassLogLoss"},
    "regression": {"rmse": "MeanSquaredError", "mae": "MeanAbsoluteError"},
}


def eval_config(
    kind: Kind, label_column: str, metrics: Iterable[str], slices: Iterable[Sequence[str]]
) -> config_pb2.EvalConfig:
    """Return TFMA's configuration: candidate and baseline, the whole split and every slice, no thresholds (gates are ours).

    Args:
      kind: of the label.
      label_column: raw column.
      metrics: names of models.metrics.METRICS[kind].
      slices: columns to slice by, a tuple per slicing.
    """
    common = {
        "signature_name": "serving_default",
        "preprocessing_function_names": ["transform_features"],
        "label_key": transformed_name(label_column),
        "prediction_key": "predictions" if kind == "regression" else "scores",
    }
    specs = [_metric_config(_TFMA_CLASSES[kind][name], name) for name in metrics]
    # A binary model gives two scores: look at the positive class's.
    binarize = config_pb2.BinarizationOptions(class_ids={"values": [1]}) if kind == "binary" else None
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(name=CANDIDATE, **common),
            config_pb2.ModelSpec(name=BASELINE, is_baseline=True, **common),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(metrics=[*specs, *_class_share(kind)], binarize=binarize),
            config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name="ExampleCount")]),
        ],
        slicing_specs=[config_pb2.SlicingSpec(), *(config_pb2.SlicingSpec(feature_keys=list(columns)) for columns in slices)],
    )


def _class_share(kind: Kind) -> list[config_pb2.MetricConfig]:
    """Return what tells whether a slice has both classes: without them TFMA gives an AUC of 0 instead of none."""
    return [_metric_config("MeanLabel", MEAN_LABEL)] if kind == "binary" else []


def _metric_config(class_name: str, name: str) -> config_pb2.MetricConfig:
    return config_pb2.MetricConfig(
        class_name=class_name, module=_OWN_CLASSES.get(class_name, ""), config=json.dumps({"name": name})
    )


def read_evaluation(uri: str, kind: Kind, simple_baseline: Mapping[str, float]) -> Evaluation:
    """Read what the Evaluator wrote.

    Args:
      uri: of the ModelEvaluation artifact.
      kind: of the label.
      simple_baseline: metrics of the linear model.

    Raises:
      ValueError: the evaluation holds no metrics of the candidate.
    """
    results = evaluation_files.read(uri)
    if set(results) == {""}:  # TFMA leaves out the name of an only model
        results = {CANDIDATE: results[""]}
    if CANDIDATE not in results:
        raise ValueError(f"The evaluation in {uri} has no model '{CANDIDATE}', only {sorted(results)}.")
    candidate = [_slice_metrics(*slice_values, kind) for slice_values in results[CANDIDATE]]
    baseline = [_slice_metrics(*slice_values, kind) for slice_values in results.get(BASELINE, [])]
    return Evaluation(
        kind=kind,
        candidate=_overall(candidate),
        baseline=_overall(baseline) if baseline else None,
        simple_baseline=simple_baseline,
        slices=sorted((s for s in candidate if s.columns), key=lambda s: (s.columns, s.values)),
    )


def _overall(slices: Sequence[SliceMetrics]) -> Mapping[str, float]:
    return next(s.metrics for s in slices if not s.columns)


def _slice_metrics(key: evaluation_files.SliceKey, given: Mapping[str, float], kind: Kind) -> SliceMetrics:
    values = {name: _number(name, given[name]) for name in _TFMA_CLASSES[kind] if name in given}
    if given.get(MEAN_LABEL) in (0.0, 1.0):
        values.pop("auc", None)
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    examples = int(given.get("example_count", 0))
    return SliceMetrics(tuple(column for column, _ in key), tuple(_text(value) for _, value in key), examples, values)


def tfma_number(name: str, value: float) -> float:
    """Return what TFMA writes for one of our metrics: the inverse of what `read_evaluation` does to it."""
    return value**2 if name == "rmse" else value


def _number(name: str, value: float) -> float:
    return math.sqrt(value) if name == "rmse" else float(value)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
