"""Keeps AutoGraph away from code that needs no conversion: the first training step takes 2 s instead of 14 s.

AutoGraph's list of libraries to leave alone names `keras` and forgets `tf_keras`. Only the loops in `predict` are still
converted: with steps_per_execution they iterate over a tensor. `fit` has its own (models/steps.py). Modules here that loop over
no tensor are left alone too; those that people write layers in are not.
"""

from __future__ import annotations

import functools


@functools.cache
def leave_alone() -> None:
    """Add the rules, once per process."""
    from tensorflow.python.autograph.core import config, config_lib  # not at the top: a config is read without TensorFlow

    rules = (
        config_lib.Convert("tf_keras.src.engine.training"),
        config_lib.DoNotConvert("tf_keras"),
        *(config_lib.DoNotConvert(f"models.{name}") for name in ("steps", "optimizers", "in_memory", "datasets", "dealing")),
    )
    config.CONVERSION_RULES = (*rules, *config.CONVERSION_RULES)
