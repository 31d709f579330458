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
from models.heads import LOGITS

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
    from models.compression.distillation_loss import DistillationLoss  # derives from a class of Keras

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
