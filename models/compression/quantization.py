"""Post-training quantization: what the edge variants of this stage are, and how one is converted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import pydantic
import tensorflow as tf
import tf_keras as keras

from models import serving

Variant = Literal["float32", "float16", "dynamic", "int8"]
REFERENCE: Variant = "float32"

# What must be found in the flatbuffer to prove that the technique acted; "any" of these tensor types.
EXPECTED_TYPES: dict[Variant, frozenset[str]] = {
    "float32": frozenset({"FLOAT32"}),
    "float16": frozenset({"FLOAT16"}),
    "dynamic": frozenset({"INT8"}),
    "int8": frozenset({"INT8"}),
}


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EdgeGate(_Section):
    """What a variant may cost against the float32 one."""

    metric: str
    max_loss: float = pydantic.Field(0.005, ge=0, description="In the metric's unit, on the whole eval split.")
    max_size_bytes: int | None = pydantic.Field(None, ge=1)


class Representative(_Section):
    """Examples of the training split that calibrate int8 ranges."""

    num_examples: int = pydantic.Field(500, ge=1)
    seed: int = pydantic.Field(1, ge=0)


class CompressionConfig(_Section):
    """The edge model: which variants are made, and what one must hold to be pushed."""

    variants: tuple[Variant, ...] = pydantic.Field(("float32", "float16", "dynamic", "int8"), min_length=1)
    gate: EdgeGate
    representative: Representative = Representative()

    @pydantic.field_validator("variants")
    @classmethod
    def _reference_first(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if len(set(variants)) != len(variants):
            raise ValueError(f"a variant is named twice: {list(variants)}.")
        # Every loss is measured against float32, so it is always made.
        return (REFERENCE, *(v for v in variants if v != REFERENCE))


def convert(model: keras.Model, variant: Variant, representative: Mapping[str, np.ndarray]) -> bytes:
    """Convert a Keras model to a `.tflite` with builtin operators only.

    Args:
      model: from {name: (batch, width)} to (batch, units).
      variant: float32; float16 weights; "dynamic": int8 weights, float activations; "int8": int8 weights and activations
        (Jacob et al. 2018), with float inputs and outputs that the model quantizes itself.
      representative: training examples {name: (n, width)}; used by int8 only.

    Returns:
      The flatbuffer.

    Raises:
      ValueError: no representative examples for int8.
    """
    function, variables = serving.inference_function(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], variables)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant != REFERENCE:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _one_by_one(representative)
    return converter.convert()


def _one_by_one(examples: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    num_examples = min((len(x) for x in examples.values()), default=0)
    if not num_examples:
        raise ValueError("int8 needs representative examples, got none. Raise `compression.representative.num_examples`.")
    for i in range(num_examples):
        yield {name: x[i : i + 1] for name, x in examples.items()}
