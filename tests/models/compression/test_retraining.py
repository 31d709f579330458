"""How a technique trains: all of its epochs, at a rate of its own that falls to zero, with the callbacks it was given."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras
from small_models import RATE, Task

from models.compression.layers import copy_model
from models.compression.retraining import Retraining


class Rates(keras.callbacks.Callback):
    """Remembers the learning rate of every epoch."""

    def __init__(self):
        super().__init__()
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))


@pytest.mark.parametrize(("rate", "start"), [(None, RATE / 2), (0.02, 0.02)])
def test_rate_starts_at_half_of_the_fit_or_as_asked_and_falls_along_a_cosine(
    multiclass: Task, rate: float | None, start: float
):
    rates = Rates()
    # A patience of 1 would end a training whose eval loss does not fall.
    trainer = multiclass.trainer([rates], early_stopping_patience=1)
    trainer.retrain(copy_model(multiclass.model), Retraining(epochs=4, learning_rate=rate))
    assert rates.rates == pytest.approx([start * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)])


def test_batches_are_mapped_before_training(regression: Task):
    model = copy_model(regression.model)
    shifted = lambda data: data.map(lambda x, y: (x, y + 1000.0))  # noqa: E731
    regression.trainer().retrain(model, Retraining(epochs=3, learning_rate=0.05), mapped=shifted)
    assert np.mean(regression.predictions(model) - regression.labels) > 300


def test_steps_are_counted_with_and_without_a_known_number_of_batches(binary: Task):
    trainer = binary.trainer()
    assert trainer.num_steps(Retraining(epochs=3)) == 27
    unknown = trainer.train.filter(lambda features, label: True)
    assert int(unknown.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    assert dataclasses.replace(trainer, train=unknown).num_steps(Retraining(epochs=3)) == 27


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"epochs": 0}, "Input should be greater than or equal to 1"),
        ({"learning_rate": 0}, "Input should be greater than 0"),
        ({"patience": 2}, "Extra inputs are not permitted"),
    ],
)
def test_mistaken_retraining_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        Retraining.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]
