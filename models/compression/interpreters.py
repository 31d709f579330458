"""Whose TFLite interpreter runs edge models: that of LiteRT where it is installed, as on devices, otherwise TensorFlow's."""

from __future__ import annotations

import functools
import importlib
from typing import Any, NamedTuple


class Runtime(NamedTuple):
    """An interpreter.

    Attributes:
      name: of the package it is in.
      interpreter: the class.
      without_delegates: its op resolver of builtin operators alone.
    """

    name: str
    interpreter: Any
    without_delegates: Any


@functools.cache
def runtime() -> Runtime:
    """Return the interpreter of this process.

    TensorFlow 2.21 names `tf.lite.Interpreter` as deprecated in favour of `ai_edge_litert`, a package of its own with the same
    interface.
    """
    try:
        litert = importlib.import_module("ai_edge_litert.interpreter")
    except ImportError:
        import tensorflow as tf

        resolvers = tf.lite.experimental.OpResolverType
        return Runtime("tensorflow", tf.lite.Interpreter, resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    return Runtime("ai_edge_litert", litert.Interpreter, litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
