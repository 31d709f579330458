"""Half precision where a config asks for it: in the layers while they train, and never in what is exported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import tf_keras as keras

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]


@contextlib.contextmanager
def policy(precision: Precision) -> Iterator[None]:
    """Build layers that compute in half precision and keep their variables in float32; heads stay in float32 altogether.

    The policy is put back afterwards: it is the process's, and other models are built in it.
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def with_loss_scaling(optimizer: keras.optimizers.Optimizer, precision: Precision) -> keras.optimizers.Optimizer:
    """Return an optimizer whose gradients do not vanish in float16 (Micikevicius et al. 2018); bfloat16 has float32's range."""
    return keras.mixed_precision.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer without the scaling of the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)
