"""Distillation: the loss of the literature, students that come near their teacher, the smallest that passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras
from small_models import CONFIG, NUMBERS, Subclassed, Task, batches

from models import tabular
from models.compression.distillation import Distill, Student, distill
from models.compression.distillation_loss import DistillationLoss
from models.compression.retraining import Retraining, Trainer
from models.heads import Head

HEADS = {"binary": Head("binary", 2), "multiclass": Head("multiclass", 4), "regression": Head("regression", 0, 5.0, 2.0)}
RANDOM = np.random.default_rng(4)


def student(task: Task, *hidden: int) -> Student:
    """Return a small network for the features of the multiclass and regression tasks."""
    changes = {"embedding_dim": 2, "numeric_units": 8, "hidden": hidden}
    config = CONFIG.model_copy(update=changes)
    return Student(changes, lambda: tabular.build(config, NUMBERS, task.head))


def of_trained(hidden: int) -> Student:
    """Return a small network for the features of `trained`."""

    def build() -> keras.Model:
        x, ids = keras.Input((1,), name="miles_xf"), keras.Input((1,), name="company_xf", dtype="int32")
        hour = keras.Input((2,), name="hour_xf")
        table = keras.layers.Flatten()(keras.layers.Embedding(300, 2)(ids))
        joined = keras.layers.Concatenate()([x, hour, table])
        output = HEADS["binary"].output(keras.layers.Dense(hidden, "relu")(joined))
        return keras.Model({"miles_xf": x, "hour_xf": hour, "company_xf": ids}, output)

    return Student({"hidden": hidden}, build)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def hard_and_soft(kind: str, label: np.ndarray, teacher: np.ndarray, learned: np.ndarray, temperature: float) -> tuple:
    """Return both parts of the loss (n,) as Hinton et al. 2015 write them: cross-entropies of (softened) probabilities."""
    if kind == "regression":
        return ((label - 5.0) / 2.0 - learned)[:, 0] ** 2, (teacher - learned)[:, 0] ** 2
    if kind == "binary":
        teacher, learned = (np.concatenate([np.zeros_like(x), x], axis=1) for x in (teacher, learned))
    hard = -np.log(softmax(learned)[np.arange(len(label)), label[:, 0].astype(int)])
    soft = -(softmax(teacher / temperature) * np.log(softmax(learned / temperature))).sum(axis=1) * temperature**2
    return hard, soft


def examples(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, a teacher's logits and a student's logits of 6 examples."""
    units = HEADS[kind].units
    label = RANDOM.normal(5, 2, (6, 1)) if kind == "regression" else RANDOM.integers(0, HEADS[kind].num_classes, (6, 1))
    teacher, learned = RANDOM.normal(size=(2, 6, units)) * 3
    return label.astype(np.float32), teacher.astype(np.float32), learned.astype(np.float32)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize(("alpha", "temperature"), [(0.3, 1.0), (0.3, 4.0), (0.0, 2.0), (1.0, 2.0)])
def test_loss_is_that_of_the_literature(kind: str, alpha: float, temperature: float):
    label, teacher, learned = examples(kind)
    loss = DistillationLoss(HEADS[kind], Distill(alpha=alpha, temperature=temperature))
    hard, soft = hard_and_soft(kind, label, teacher, learned, temperature)
    computed = loss.call(tf.constant(np.concatenate([label, teacher], axis=1)), tf.constant(learned))
    np.testing.assert_allclose(computed, alpha * hard + (1 - alpha) * soft, rtol=1e-4, atol=1e-5)


def test_loss_of_features_is_their_distance_in_units_of_the_teachers_spread():
    label, teacher, learned = examples("binary")
    taught, imitated = RANDOM.normal(size=(2, 6, 5)).astype(np.float32) * 10
    loss = DistillationLoss(HEADS["binary"], Distill(alpha=0.25, match="features"))
    computed = loss.call(
        tf.constant(np.concatenate([label, teacher, taught], axis=1)), tf.constant(np.concatenate([learned, imitated], axis=1))
    )
    hard, _ = hard_and_soft("binary", label, teacher, learned, 1.0)
    soft = ((taught - imitated) ** 2).mean(axis=1) / taught.var()
    np.testing.assert_allclose(computed, 0.25 * hard + 0.75 * soft, rtol=1e-4)


def test_unknown_class_adds_nothing_to_the_part_of_the_label():
    label, teacher, learned = examples("multiclass")
    label[2] = -1
    y_true = tf.constant(np.concatenate([label, teacher], axis=1))
    hard_only = DistillationLoss(HEADS["multiclass"], Distill(alpha=1.0)).call(y_true, tf.constant(learned)).numpy()
    assert hard_only[2] == 0
    assert (np.delete(hard_only, 2) > 0).all()
    half = DistillationLoss(HEADS["multiclass"], Distill(alpha=0.5, temperature=2.0)).call(y_true, tf.constant(learned))
    _, soft = hard_and_soft("multiclass", np.maximum(label, 0), teacher, learned, 2.0)
    assert half.numpy()[2] == pytest.approx(0.5 * soft[2], rel=1e-4)


def distilled(task: Task, step: Distill, labels: np.ndarray | None = None) -> keras.Model:
    trainer = task.trainer()
    if labels is not None:
        trainer = Trainer(batches(task.inputs, labels), trainer.evaluation, task.head, trainer.fit)
    return distill(task.model, step, trainer, [student(task, 16)], lambda model: False)


@pytest.mark.parametrize("match", ["logits", "features"])
def test_classifier_comes_near_its_teacher(multiclass: Task, match: str):
    result = distilled(multiclass, Distill(epochs=20, learning_rate=0.03, match=match))
    scores, taught = multiclass.predictions(result), multiclass.predictions()
    assert result.count_params() < multiclass.model.count_params() / 5
    assert scores.shape == (300, 3)
    assert np.mean(scores.argmax(axis=1) == taught.argmax(axis=1)) > 0.93
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_regression_comes_near_its_teacher_in_the_unit_of_the_label(regression: Task):
    scores = regression.predictions(distilled(regression, Distill(epochs=20, learning_rate=0.03)))
    assert np.abs(scores - regression.predictions()).mean() < 8  # of a standard deviation of 50


def test_binary_student_learns_from_the_teacher_alone_when_labels_count_nothing(binary: Task):
    wrong = Trainer(
        batches(binary.inputs, 1 - binary.labels), batches(binary.inputs, binary.labels), binary.head, binary.trainer().fit
    )
    step = Distill(epochs=8, learning_rate=0.03, alpha=0.0)
    result = distill(binary.model, step, wrong, [of_trained(8)], lambda model: False)
    assert np.abs(binary.predictions(result) - binary.predictions()).mean() < 0.06


def test_teacher_is_left_as_it_is(multiclass: Task):
    distilled(multiclass, Distill(epochs=1))
    for now, was in zip(multiclass.model.get_weights(), multiclass.original, strict=True):
        np.testing.assert_array_equal(now, was)


def test_same_seed_gives_the_same_student_and_another_seed_another(multiclass: Task):
    def weights(seed: int) -> list[np.ndarray]:
        trainer = multiclass.trainer(seed=seed)
        return distill(multiclass.model, Distill(epochs=1), trainer, [student(multiclass, 8)], lambda m: True).get_weights()

    first, again, other = weights(3), weights(3), weights(4)
    for x, y in zip(first, again, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)
    assert np.abs(first[0] - other[0]).max() > 1e-3


class Untrained(Trainer):
    """A trainer that only notes for how long it is asked to train."""

    asked: list[int] = []

    def retrain(self, model: keras.Model, retraining: Retraining, **arguments) -> None:
        self.asked.append(retraining.epochs)


def untrained(task: Task, num_batches: int = 1) -> Untrained:
    trainer = task.trainer()
    Untrained.asked = []
    return Untrained(trainer.train.take(1).repeat(num_batches), trainer.evaluation, task.head, trainer.fit)


@pytest.mark.parametrize(("passing", "taken", "tried"), [(8, 8, [8]), (16, 16, [8, 16]), (99, 32, [8, 16, 32])])
def test_smallest_candidate_that_passes_is_taken_or_else_the_largest(
    multiclass: Task, passing: int, taken: int, tried: Sequence[int]
):
    seen: list[int] = []

    def passes(model: keras.Model) -> bool:
        seen.append(model.get_layer("hidden_0").units)
        return seen[-1] >= passing

    candidates = [student(multiclass, width) for width in (32, 8, 16)]
    result = distill(multiclass.model, Distill(epochs=1), untrained(multiclass), candidates, passes)
    assert result.get_layer("hidden_0").units == taken
    assert seen == tried
    assert len(Untrained.asked) == len(tried)


def test_only_candidate_is_taken_unasked(multiclass: Task):
    def passes(model: keras.Model) -> bool:
        raise AssertionError("not asked")

    result = distill(multiclass.model, Distill(epochs=1), untrained(multiclass), [student(multiclass, 8)], passes)
    assert result.get_layer("hidden_0").units == 8


@pytest.mark.parametrize(("num_batches", "epochs"), [(5, 100), (20, 75), (21, 72), (100, 25)])
def test_students_train_for_1500_steps_unless_told_otherwise(multiclass: Task, num_batches: int, epochs: int):
    for step, expected in ((Distill(), epochs), (Distill(epochs=2), 2)):
        distill(multiclass.model, step, untrained(multiclass, num_batches), [student(multiclass, 8)], lambda m: True)
        assert Untrained.asked == [expected]


def test_student_as_large_as_its_teacher_is_named(multiclass: Task):
    same = Student({"hidden": (48, 32)}, lambda: tabular.build(CONFIG, NUMBERS, multiclass.head))
    size = multiclass.model.count_params()
    with pytest.raises(ValueError) as caught:
        distill(multiclass.model, Distill(), untrained(multiclass), [same, student(multiclass, 8)], lambda m: True)
    assert str(caught.value) == (
        f"distill: a student has {size:,} parameters, its teacher {size:,}. Make it smaller ({{'hidden': (48, 32)}})."
    )
    assert Untrained.asked == []


def test_no_student_is_an_error(multiclass: Task):
    with pytest.raises(ValueError) as caught:
        distill(multiclass.model, Distill(), untrained(multiclass), [], lambda m: True)
    assert str(caught.value) == (
        "distill: there is no student. List some under `students`, as changes to the `model:` section."
    )


def test_model_without_a_layer_of_logits_is_an_error(multiclass: Task):
    x = keras.Input((300,), name="x_xf")
    teacher = keras.Model({"x_xf": x}, keras.layers.Dense(3, "softmax", name="scores")(keras.layers.Dense(9, name="a")(x)))
    with pytest.raises(ValueError) as caught:
        distill(teacher, Distill(), untrained(multiclass), [student(multiclass, 8)], lambda m: True)
    assert str(caught.value) == (
        "distill: the model has no layer 'logits', only ['x_xf', 'a', 'scores']. End it with `head.output(x)`."
    )


def test_subclassed_teacher_is_refused(multiclass: Task):
    teacher = Subclassed()
    teacher.build((None, 64))
    with pytest.raises(ValueError, match=r"^distill: the model 'opaque' is a subclassed Subclassed"):
        distill(teacher, Distill(), untrained(multiclass), [student(multiclass, 8)], lambda m: True)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"temperature": 0}, "Input should be greater than 0"),
        ({"alpha": 1.1}, "Input should be less than or equal to 1"),
        ({"epochs": 0}, "Input should be greater than or equal to 1"),
        ({"match": "attention"}, "Input should be 'logits' or 'features'"),
    ],
)
def test_mistaken_distillation_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        Distill.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]
