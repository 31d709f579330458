"""What a student is told: the label, and what the teacher says of the same example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf
import tf_keras as keras

from models.heads import Head

if TYPE_CHECKING:
    from models.compression.distillation import Distill


class DistillationLoss(keras.losses.Loss):
    """alpha * loss against the label + (1 - alpha) * loss against the teacher."""

    def __init__(self, head: Head, step: Distill):
        super().__init__()
        self._head, self._step = head, step

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return float32 (batch,).

        Args:
          y_true: (batch, 1 + units [+ features]): label, teacher's logits, teacher's features.
          y_pred: (batch, units [+ features]): student's logits, its features projected to the teacher's width.
        """
        units, alpha = self._head.units, self._step.alpha
        hard = _HARD[self._head.kind](self._head, y_true[:, :1], y_pred[:, :units])
        if self._step.match == "features":
            taught, learned = y_true[:, 1 + units :], y_pred[:, units:]
            # In units of the teacher's own spread, so that alpha means the same for any teacher.
            soft = tf.reduce_mean(tf.square(taught - learned), axis=1) / (tf.math.reduce_variance(taught) + 1e-6)
        else:
            soft = _SOFT[self._head.kind](y_true[:, 1 : 1 + units], y_pred[:, :units], self._step.temperature)
        return alpha * hard + (1 - alpha) * soft


def _binary_hard(head: Head, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logits)[:, 0]


def _multiclass_hard(head: Head, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    position = tf.cast(label[:, 0], tf.int32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.maximum(position, 0), logits=logits)
    return tf.where(position < 0, tf.zeros_like(losses), losses)  # a class that the training split never showed


def _regression_hard(head: Head, label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.square((label - head.offset) / head.scale - logits)[:, 0]


# The gradients of softened targets shrink with 1 / T^2 (Hinton et al. 2015, section 2): hence the factor.
def _binary_soft(teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
    target = tf.sigmoid(teacher / temperature)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=student / temperature)[:, 0] * temperature**2


def _multiclass_soft(teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
    target = tf.nn.softmax(teacher / temperature)
    return tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=student / temperature) * temperature**2


def _regression_soft(teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
    return tf.square(teacher - student)[:, 0]


_HARD = {"binary": _binary_hard, "multiclass": _multiclass_hard, "regression": _regression_hard}
_SOFT = {"binary": _binary_soft, "multiclass": _multiclass_soft, "regression": _regression_soft}
