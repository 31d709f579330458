"""Labels: from the raw column to what a model is trained on, and back to class names."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from preprocessing import ops
from preprocessing.features import BinaryLabel, Label, MulticlassLabel, transformed_name


def transform_label(column: ops.Column, label: Label) -> tf.Tensor:
    """Return the label as trained on.

    Returns:
      (batch, 1): int64 0/1 for binary, int64 class position for multiclass (-1 for an unknown class), float32 for regression.
    """
    if isinstance(label, BinaryLabel):
        return tf.cast(tf.equal(ops.as_text(column), str(label.positive)), tf.int64)
    if isinstance(label, MulticlassLabel):
        text = ops.as_text(column)
        present = tf.boolean_mask(text, tf.not_equal(text, ""))
        return tft.apply_vocabulary(text, tft.vocabulary(present, vocab_filename=transformed_name(label.column)))
    return ops.as_float(column)


def class_names(label: Label, transform_output: tft.TFTransformOutput) -> list[str]:
    """Return the class names in the order of the model's scores; empty for regression.

    A binary label that declares only its positive value has "0" beside 1, otherwise "not <positive>".
    """
    if isinstance(label, BinaryLabel):
        positive = str(label.positive)
        if label.negative is not None:
            return [str(label.negative), positive]
        return [{"1": "0", "0": "1"}.get(positive, f"not {positive}"), positive]
    if isinstance(label, MulticlassLabel):
        vocabulary = transform_output.vocabulary_by_name(transformed_name(label.column))
        return [value.decode("utf-8") for value in vocabulary]
    return []
