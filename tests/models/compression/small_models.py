"""Small models, what they are trained with, and what becomes of them: shared by the tests of the techniques."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models import serving, tabular, training
from models.compression.quantization import Conversion, convert
from models.compression.retraining import Trainer
from models.heads import Head
from preprocessing.features import EncodedFeature

RATE = 1e-2  # half of it is where a technique starts
# Inputs and size of the multiclass and the regression model.
NUMBERS = (EncodedFeature("size_xf", "size", width=3), EncodedFeature("kind_xf", "kind", num_ids=6))
CONFIG = tabular.Config(embedding_dim=4, numeric_units=32, hidden=(48, 32), dropout=0.0)


@dataclass(frozen=True)
class Task:
    """A trained model and what it was trained on; `original` are its weights before any technique saw it."""

    model: keras.Model
    head: Head
    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    original: tuple[np.ndarray, ...]

    @classmethod
    def train(cls, model: keras.Model, head: Head, inputs: Mapping[str, np.ndarray], labels: np.ndarray, epochs: int) -> Task:
        """Train a model on examples {name: (n, ...)} and labels (n, 1)."""
        data = batches(inputs, labels)
        training.fit(model, head.loss, data, data, training.FitConfig(epochs=epochs, learning_rate=RATE))
        return cls(model, head, inputs, labels, tuple(model.get_weights()))

    def trainer(self, callbacks: Sequence[keras.callbacks.Callback] = (), **fit) -> Trainer:
        """Return what a technique needs to train a model of this task, the same every time."""
        return trainer(self.inputs, self.labels, self.head, callbacks, **fit)

    def predictions(self, model: keras.Model | None = None) -> np.ndarray:
        """Return what a Keras model, this task's own by default, says to all examples: (n, units)."""
        return (model or self.model).predict(self.inputs, verbose=0)


def trainer(
    inputs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    head: Head,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **fit,
) -> Trainer:
    """Return a trainer of 50 examples a batch; global seeds are set, as a process of the workshop does."""
    keras.utils.set_random_seed(1)
    config = training.FitConfig(**{"learning_rate": RATE, **fit})
    return Trainer(batches(inputs, labels), batches(inputs, labels), head, config, callbacks)


def batches(inputs: Mapping[str, np.ndarray], labels: np.ndarray) -> tf.data.Dataset:
    """Return batches of 50 (features, label), in order."""
    return tf.data.Dataset.from_tensor_slices((dict(inputs), labels)).batch(50)


def functional(
    head: Head,
    spec: Mapping[str, tuple[tuple[int, ...], str]],
    body: Callable[[dict[str, keras.KerasTensor]], keras.KerasTensor],
) -> keras.Model:
    """Build a model from {input: (shape, dtype)} through a body to a head."""
    keras.utils.set_random_seed(1)
    inputs = {name: keras.Input(shape, name=name, dtype=dtype) for name, (shape, dtype) in spec.items()}
    return keras.Model(inputs, head.output(body(inputs)))


def from_image(head: Head, shape: tuple[int, ...], body: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    """Build a model from one float input `image_xf`."""
    return functional(head, {"image_xf": (shape, "float32")}, lambda inputs: body(inputs["image_xf"]))


def to_tflite(
    model: keras.Model, conversion: Conversion | None = None, representative: Mapping[str, np.ndarray] | None = None
) -> bytes:
    """Export a model and convert it."""
    with tempfile.TemporaryDirectory() as folder:
        serving.export_function(*serving.inference_function(model), folder)
        return convert(folder, conversion or Conversion(), representative or {})


def kernel(model: keras.Model, layer: str) -> np.ndarray:
    """Return the first weight of a layer."""
    return model.get_layer(layer).get_weights()[0]


def share_of_zeros(model: keras.Model, layer: str) -> float:
    """Return the share of zeros in the first weight of a layer."""
    return float(np.mean(kernel(model, layer) == 0))


def num_values(model: keras.Model, layer: str) -> int:
    """Return how many distinct values the first weight of a layer has."""
    return len(np.unique(kernel(model, layer)))


class Subclassed(keras.Model):
    """A model whose layers only its `call` knows."""

    def __init__(self):
        super().__init__(name="opaque")
        self.dense = keras.layers.Dense(64)

    def call(self, x):
        return self.dense(x)


def nested() -> keras.Model:
    """Return a model with a model inside."""
    inner = keras.Sequential([keras.layers.Dense(64, input_shape=(64,))], name="inner")
    x = keras.Input((64,), name="x_xf")
    return keras.Model({"x_xf": x}, Head("binary", 2).output(inner(x)))
