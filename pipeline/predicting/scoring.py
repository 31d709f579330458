"""Models behind one function each: from {raw column: values} to scores."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from pipeline.edge_runner.predict import Predictor
from pipeline.errors import DataError
from pipeline.ingest.encoding import encode
from pipeline.predicting.pushed import Kind, PushedModel
from pipeline.remote import is_remote

Values: TypeAlias = Mapping[str, pa.Array]
Scored: TypeAlias = tuple[np.ndarray, dict[int, str]]
Score: TypeAlias = Callable[[Values], Scored]


def load(model: PushedModel) -> Score:
    """Load a model.

    Returns:
      A function from {raw column: binary, int64, float32 or null (rows,)} with at least one row to scores, float32
      (rows, classes), or (rows, 1) for regression, and {position: why a row has none}. Several threads may call it at once.

    Raises:
      DataError: the model's files are not what a model consists of.
    """
    try:
        return _LOADERS[model.kind](model)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{model.path} cannot be loaded: {str(error).strip().rstrip('.')}. Push the model again.") from error


def _saved_model(model: PushedModel) -> Score:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(model.path)
    except tf.errors.OpError as error:
        raise ValueError(error.message) from error
    serve, output = loaded.signatures["serving_default"], "scores" if model.classes else "predictions"

    def score(values: Values) -> Scored:
        records = encode(values).to_numpy(zero_copy_only=False)
        scores = serve(examples=tf.constant(records, tf.string))[output].numpy()
        return scores.reshape(len(records), -1), {}

    score.model = loaded  # type: ignore[attr-defined]  # a signature does not keep the variables that it reads
    return score


def _edge_package(model: PushedModel) -> Score:
    predictor, lock = Predictor(_local(model.path)), threading.Lock()
    predictor.predict({name: [None] for name in predictor.columns})  # now, for what is wrong with the model is no row's fault

    def predict(columns: Mapping[str, list[Any]], positions: list[int], unusable: dict[int, str]) -> np.ndarray:
        """Score rows at some positions; halve them to find those that the package refuses: NaN, and a reason."""
        try:
            return predictor.predict({name: [column[i] for i in positions] for name, column in columns.items()})
        except ValueError as error:
            if len(positions) > 1:
                middle = len(positions) // 2
                return np.concatenate([predict(columns, half, unusable) for half in (positions[:middle], positions[middle:])])
            unusable[positions[0]] = str(error)
            return np.full((1, len(predictor.names)), np.nan, np.float32)

    def score(values: Values) -> Scored:
        columns, unusable = {name: _python(column) for name, column in values.items()}, dict[int, str]()
        with lock:
            scores = predict(columns, list(range(len(next(iter(columns.values()))))), unusable)
        return _of_all_classes(scores, model), unusable

    return score


def _raw_edge_model(model: PushedModel) -> Score:
    from models.compression.tflite import EdgeModel
    from preprocessing.portable_ops import missing_marker

    with open(os.path.join(_local(model.path), model.file), "rb") as file:
        edge, lock = EdgeModel(file.read()), threading.Lock()
    import tensorflow as tf

    dtypes = {"text": tf.string, "integer": tf.int64, "number": tf.float32}
    markers = {name: (missing_marker(dtypes[c.type]), dtypes[c.type].as_numpy_dtype) for name, c in model.columns.items()}

    def score(values: Values) -> Scored:
        with lock:
            return _of_all_classes(edge.predict({n: _dense(x, *markers[n]) for n, x in values.items()}), model), {}

    return score


_LOADERS: Mapping[Kind, Callable[[PushedModel], Score]] = {
    "SavedModel": _saved_model,
    "edge package": _edge_package,
    "edge model with raw inputs": _raw_edge_model,
}


def _python(column: pa.Array) -> list[Any]:
    values = column.cast(pa.string()) if pa.types.is_binary(column.type) else column
    return values.to_pylist()


def _dense(column: pa.Array, missing: object, dtype: type) -> np.ndarray:
    """Return (rows, 1) with a marker where a value is missing."""
    if pa.types.is_null(column.type):
        return np.full((len(column), 1), missing, dtype)
    filled = column.fill_null(pa.scalar(missing, column.type))
    return filled.to_numpy(zero_copy_only=False).reshape(-1, 1)


def _of_all_classes(scores: np.ndarray, model: PushedModel) -> np.ndarray:
    """Return what a SavedModel gives: an edge model of two classes has one output, the second class's."""
    is_single = len(model.classes) == 2 and scores.shape[1] == 1
    return np.concatenate([1 - scores, scores], axis=1) if is_single else scores


def _local(folder: str) -> str:
    """Return where a folder is on this machine: a copy that lasts as long as the process, if it is remote."""
    if not is_remote(folder):
        return folder
    import tensorflow as tf

    copy = tempfile.mkdtemp(prefix="edge-model-")
    for parent, _, names in tf.io.gfile.walk(folder):
        target = os.path.join(copy, os.path.relpath(parent, folder))
        os.makedirs(target, exist_ok=True)
        for name in names:
            tf.io.gfile.copy(os.path.join(parent, name), os.path.join(target, name))
    return copy
