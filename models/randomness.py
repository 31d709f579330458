"""Random layers whose numbers follow from seed and step alone, so that a training that goes on draws what it would have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras as keras
from tf_keras.src import backend

_ATTRIBUTE = "_random_generator"  # of Keras's random layers
_LARGE_PRIME = 1_000_003  # keeps the seeds of layers and replicas apart


class _ByStep(backend.RandomGenerator):
    """Keras's generator of a layer with a seed that is a function of the optimizer's step: it has no state of its own."""

    def __init__(self, seed: int, step: tf.Variable):
        super().__init__(seed, rng_type=self.RNG_STATELESS)
        self._first, self._step = seed, step

    def make_seed_for_stateless_op(self) -> tf.Tensor:
        """Return int32 (2,)."""
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group, tf.int32) if context else 0
        return tf.stack([self._first + _LARGE_PRIME * replica, tf.cast(self._step.read_value(), tf.int32)])


@contextlib.contextmanager
def by_step(model: keras.Model, seed: int) -> Iterator[None]:
    """Have the random layers of a compiled model, such as dropout, draw by the step while it is trained.

    Args:
      model: with an optimizer, whose iterations count the steps.
      seed: of the training; every layer and every replica has numbers of its own.
    """
    layers = [x for x in model._flatten_layers() if isinstance(getattr(x, _ATTRIBUTE, None), backend.RandomGenerator)]
    originals = [getattr(layer, _ATTRIBUTE) for layer in layers]
    for position, layer in enumerate(layers):
        setattr(layer, _ATTRIBUTE, _ByStep((seed * _LARGE_PRIME + position) % 2**30, model.optimizer.iterations))
    try:
        yield
    finally:
        for layer, original in zip(layers, originals, strict=True):
            setattr(layer, _ATTRIBUTE, original)
