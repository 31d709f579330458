"""Evaluator without Beam: both all models over the eval split in batches, metrics by slice in NumPy, written as by TFMA."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from models import datasets
from models.heads import Kind
from models.metrics import evaluate
from pipeline import evaluation_files
from pipeline.columnar.slices import SliceKey, Slicing
from pipeline.evaluation import tfma_number
from preprocessing.features import transformed_name

BATCH_SIZE = 4096
_OVERALL: SliceKey = ()


@dataclass(frozen=True)
class Question:
    """What is measured.

    Attributes:
      kind: of the label.
      label_column: raw column.
      metrics: names of `models.metrics.METRICS[kind]`.
      slices: columns to slice by, a tuple per slicing.
    """

    kind: Kind
    label_column: str
    metrics: Sequence[str]
    slices: Sequence[Sequence[str]]


def evaluation(
    files: Sequence[str], models: Mapping[str, str], question: Question
) -> dict[SliceKey, tuple[int, dict[str, dict[str, float]]]]:
    """Evaluate models on the same rows.

    Args:
      files: TFRecord files of tf.Example.
      models: {name: SavedModel with `serving_default` and `transform_features`}; the first one's transform gives the label.
      question: what is measured.

    Returns:
      {slice, () for all rows: (number of rows, {model: {metric: value}})}; a metric that is not defined in a slice is left out.

    Raises:
      ValueError: there are no rows.
    """
    loaded = [tf.saved_model.load(path) for path in models.values()]
    predict = _predictor(loaded, question)
    decoder = ExamplesToRecordBatchDecoder()
    slicings = [Slicing(columns) for columns in question.slices]
    outputs: list[tuple[np.ndarray, ...]] = []
    for records in datasets.serialized(files, BATCH_SIZE):
        outputs.append(tuple(x.numpy() for x in predict(records)))
        if slicings:
            block = decoder.DecodeBatch(records.numpy().tolist())
            for slicing in slicings:
                slicing.add(block)
    if not outputs:
        raise ValueError("The eval split has no rows, so no model can be judged. Give it a share in `data.split`.")
    labels, *scores = (np.concatenate(parts) for parts in zip(*outputs, strict=True))

    def measured(rows: slice | np.ndarray) -> dict[str, dict[str, float]]:
        return {name: _defined(question, labels[rows], x[rows]) for name, x in zip(models, scores, strict=True)}

    results = {_OVERALL: (len(labels), measured(slice(None)))}
    for slicing in slicings:
        results |= {key: (len(rows), measured(rows)) for key, rows in slicing.items()}
    return results


def _predictor(models: Sequence[tf.Module], question: Question) -> tf.types.experimental.GenericFunction:
    """Return a function from serialized examples to (label (batch,), scores (batch, units) of each model)."""
    label = transformed_name(question.label_column)
    output = "predictions" if question.kind == "regression" else "scores"

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def predict(records: tf.Tensor) -> tuple[tf.Tensor, ...]:
        labels = tf.reshape(models[0].signatures["transform_features"](records)[label], [-1])
        scores = [model.signatures["serving_default"](records)[output] for model in models]
        if question.kind == "binary":
            scores = [x[:, 1:] for x in scores]  # of the positive class
        return (labels, *(tf.reshape(x, [tf.size(labels), -1]) for x in scores))

    return predict


def _defined(question: Question, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    values = evaluate(question.kind, question.metrics, labels, scores)
    return {name: value for name, value in values.items() if math.isfinite(value)}


def write_evaluation(
    folder: str,
    results: Mapping[SliceKey, tuple[int, Mapping[str, Mapping[str, float]]]],
    config: config_pb2.EvalConfig,
    models: Mapping[str, str],
    data: str,
) -> None:
    """Write results as TFMA does, for `tfma.load_eval_result` and its views.

    Args:
      folder: of the evaluation.
      results: as `evaluation` gives them.
      config: what TFMA would have been asked for.
      models: {name: path}.
      data: path of the examples.
    """
    counted = (
        (key, {model: _with_count(metrics, number) for model, metrics in by_model.items()})
        for key, (number, by_model) in results.items()
    )
    evaluation_files.write(folder, counted, config, models, data)


def _with_count(metrics: Mapping[str, float], num_examples: int) -> dict[str, float]:
    return {**{name: tfma_number(name, value) for name, value in metrics.items()}, "example_count": float(num_examples)}
