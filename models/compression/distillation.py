"""Knowledge distillation: a small student learns from what a large teacher says (Hinton et al. 2015), or from what it
computes on the way (Romero et al. 2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
import tensorflow as tf
import tf_keras as keras

from models.compression.layers import check_rebuildable
from models.compression.retraining import DatasetMap, Retraining, Trainer
from models.heads import LOGITS, Head

_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 1500, 25, 100


class Distill(Retraining):
    """A student of the task's own kind. Of several the smallest is taken that loses at most half of what the gate allows."""

    kind: Literal["distill"] = "distill"
    epochs: int | None = pydantic.Field(  # type: ignore[assignment]
        None, ge=1, description="Default: as many as give 1,500 steps, but 25 at least and 100 at most."
    )
    learning_rate: float | None = pydantic.Field(3e-3, gt=0, description="Start; null: half of `fit.learning_rate`.")
    students: tuple[dict[str, Any], ...] = pydantic.Field(
        (), description="Changes to the `model:` section, one per candidate; default: the task's own list, smallest first."
    )
    temperature: float = pydantic.Field(3.0, gt=0, description="Softens the teacher's probabilities; no effect on regression.")
    alpha: float = pydantic.Field(0.3, ge=0, le=1, description="Weight of the label; the rest is the teacher's.")
    match: Literal["logits", "features"] = pydantic.Field(
        "logits", description="What the student imitates: the output, or the teacher's last hidden layer."
    )


@dataclass(frozen=True)
class Student:
    """A candidate: what was changed in the config, and how to build it."""

    changes: dict[str, Any]
    build: Callable[[], keras.Model]


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


def distill(
    teacher: keras.Model, step: Distill, trainer: Trainer, students: Sequence[Student], passes: Callable[[keras.Model], bool]
) -> keras.Model:
    """Train students, smallest first, until one passes.

    Args:
      teacher: the trained model; left as it is.
      step: how.
      trainer: trains the students.
      students: candidates for the same features and head.
      passes: whether a trained student is good enough; not asked when there is one candidate only.

    Returns:
      The first student that passes, or the largest one when none does: its gate will say so.

    Raises:
      ValueError: no student, one that is no smaller than the teacher, or a model without a layer of logits.
    """
    if not students:
        raise ValueError("distill: there is no student. List some under `students`, as changes to the `model:` section.")
    candidates = [(_fresh(candidate, trainer.fit.seed), candidate) for candidate in students]
    candidates.sort(key=lambda pair: pair[0].count_params())
    for student, candidate in candidates:
        if student.count_params() >= teacher.count_params():
            raise ValueError(
                f"distill: a student has {student.count_params():,} parameters, its teacher {teacher.count_params():,}. "
                f"Make it smaller ({candidate.changes or 'its changes are empty'})."
            )
    step = step if step.epochs else step.model_copy(update={"epochs": _enough_epochs(trainer)})
    for student, _ in candidates:
        _teach(teacher, student, step, trainer)
        if len(candidates) == 1 or passes(student):
            break
    return student


def _enough_epochs(trainer: Trainer) -> int:
    """Return how many epochs a student needs: it begins from nothing, and a small split gives few steps an epoch."""
    return min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, math.ceil(_STEPS / trainer.num_batches())))


def _fresh(student: Student, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return student.build()


def _teach(teacher: keras.Model, student: keras.Model, step: Distill, trainer: Trainer) -> None:
    features = step.match == "features"
    taught = _up_to_logits(teacher, features)
    pupil = _up_to_logits(student, features, projected_to=taught.output_shape[-1] - trainer.head.units)
    loss = DistillationLoss(trainer.head, step)
    trainer.retrain(pupil, step, loss=loss, mapped=_with_teacher(taught))


def _with_teacher(teacher: keras.Model) -> DatasetMap:
    @tf.autograph.experimental.do_not_convert
    def add(features: dict[str, tf.Tensor], label: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return features, tf.concat([tf.cast(label, tf.float32), teacher(features, training=False)], axis=1)

    return lambda dataset: dataset.map(add, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _up_to_logits(model: keras.Model, features: bool, projected_to: int | None = None) -> keras.Model:
    """Return the model up to its logits (batch, units), if asked for with its last hidden layer beside them."""
    check_rebuildable(model, "distill")
    names = [layer.name for layer in model.layers]
    if LOGITS not in names:
        raise ValueError(f"distill: the model has no layer '{LOGITS}', only {names}. End it with `head.output(x)`.")
    logits = model.get_layer(LOGITS)
    if not features:
        return keras.Model(model.input, logits.output)
    hidden = logits.input
    if projected_to:
        hidden = keras.layers.Dense(projected_to, use_bias=False, name="to_teacher")(hidden)
    return keras.Model(model.input, keras.layers.Concatenate()([logits.output, hidden]))
