"""Keeps AutoGraph away from tf_keras, whose code needs no conversion: the first training step takes 2 s instead of 14 s.

AutoGraph's list of libraries to leave alone names `keras` and forgets `tf_keras`. Only the training loop
is still converted: with steps_per_execution it iterates over a tensor.
"""

from __future__ import annotations

import functools


@functools.cache
def leave_keras_alone() -> None:
    """Add the rules, once per process."""
    from tensorflow.python.autograph.core import config, config_lib  # not at the top: a config is read without TensorFlow

    rules = (config_lib.Convert("tf_keras.src.engine.training"), config_lib.DoNotConvert("tf_keras"))
    config.CONVERSION_RULES = (*rules, *config.CONVERSION_RULES)
