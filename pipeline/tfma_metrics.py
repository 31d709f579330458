"""Metrics that TFMA lacks, in the form it takes them: named by class and module in a MetricConfig."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from models.metrics import multiclass_log_loss


class MulticlassLogLoss(metric_types.Metric):
    """Mean cross-entropy of class positions, to which an unknown class (-1) adds nothing.

    TFMA's own takes one-hot labels only, and Keras's fails on -1.
    """

    def __init__(self, name: str = "log_loss"):
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


metric_types.register_metric(MulticlassLogLoss)


def _computations(
    name: str,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
    sub_key: metric_types.SubKey | None = None,
    **_: Any,
) -> list[metric_types.MetricComputation]:
    key = metric_types.MetricKey(
        name=name, model_name=model_name, output_name=output_name, sub_key=sub_key, example_weighted=example_weighted
    )
    combiner = _MeanLogLoss(key, eval_config, model_name, output_name)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]


class _MeanLogLoss(beam.CombineFn):
    """Accumulates (sum of losses, number of examples)."""

    def __init__(
        self, key: metric_types.MetricKey, eval_config: config_pb2.EvalConfig | None, model_name: str, output_name: str
    ):
        self._key, self._eval_config = key, eval_config
        self._model_name, self._output_name = model_name, output_name

    def create_accumulator(self) -> tuple[float, int]:
        return 0.0, 0

    def add_input(self, accumulator: tuple[float, int], element: metric_types.StandardMetricInputs) -> tuple[float, int]:
        total, count = accumulator
        for label, scores, _ in metric_util.to_label_prediction_example_weight(
            element, self._eval_config, self._model_name, self._output_name, flatten=False
        ):
            total += multiclass_log_loss(label.reshape(-1).astype(int), scores.reshape(1, -1))
            count += 1
        return total, count

    def merge_accumulators(self, accumulators: Iterable[tuple[float, int]]) -> tuple[float, int]:
        totals, counts = zip(*accumulators, strict=True)
        return sum(totals), sum(counts)

    def extract_output(self, accumulator: tuple[float, int]) -> dict[metric_types.MetricKey, float]:
        total, count = accumulator
        return {self._key: total / count if count else float("nan")}
