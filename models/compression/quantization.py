"""Post-training quantization, and the conversion every variant ends in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pydantic
import tensorflow as tf

from models.compression import litert

QuantizationKind = Literal["float16", "dynamic", "int8", "int16x8"]
CALIBRATED = ("int8", "int16x8")


class Quantize(pydantic.BaseModel):
    """Smaller numbers in a trained model; the last step of a recipe."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    kind: QuantizationKind = pydantic.Field(
        ..., description="float16 weights; dynamic: int8 weights; int8: activations too; int16x8: int16 activations."
    )
    io: Literal["float", "integer"] = pydantic.Field("float", description="Type of the inputs and outputs of int8, int16x8.")
    sparse: bool = pydantic.Field(False, description="Encode zeros, so that a pruned model is smaller in raw bytes too.")

    quantizer: Literal["converter", "litert"] = pydantic.Field(
        "converter",
        description="TensorFlow's converter, or LiteRT's own quantizer: with TFX 1.21 only, no float16, nothing sparse.",
    )

    @pydantic.model_validator(mode="after")
    def _integer_io(self) -> Quantize:
        if self.io == "integer" and self.kind not in CALIBRATED:
            raise ValueError(f"`io: integer` needs one of {', '.join(CALIBRATED)}, not {self.kind}.")
        return self

    @pydantic.model_validator(mode="after")
    def _sparse(self) -> Quantize:
        if self.sparse and self.kind == "float16":
            raise ValueError("`sparse: true` does not go with float16: the interpreter crashes on it. Use dynamic or int8.")
        return self

    @pydantic.model_validator(mode="after")
    def _by_litert(self) -> Quantize:
        if self.quantizer == "litert" and (self.sparse or self.kind == "float16"):
            what = "`sparse: true`" if self.sparse else "float16"
            raise ValueError(f"`quantizer: litert` does not go with {what}. Use `quantizer: converter`.")
        return self


class Representative(pydantic.BaseModel):
    """Examples of the training split that calibrate the ranges of activations."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    num_examples: int = pydantic.Field(500, ge=1, description="0 examples calibrate nothing.")
    seed: int = pydantic.Field(1, ge=0)


@dataclass(frozen=True)
class Conversion:
    """How a SavedModel becomes a flatbuffer.

    Attributes:
      step: post-training quantization, None for none.
      trained: the model has simulated quantization inside: its ranges are known.
      per_channel: a scale per output channel of convolutions; one scale per kernel keeps clusters clusters.
    """

    step: Quantize | None = None
    trained: bool = False
    per_channel: bool = True


def convert(saved_model: str, conversion: Conversion, representative: Mapping[str, np.ndarray]) -> bytes:
    """Convert a SavedModel with one signature to a `.tflite` with builtin operators only.

    Args:
      saved_model: folder; the signature maps {name: (batch, width)} to {"output": (batch, units)}.
      conversion: how.
      representative: training examples {name: (n, width)}, used where ranges must be calibrated.

    Returns:
      The flatbuffer.

    Raises:
      ValueError: no representative examples where some are needed, or the quantizer that is asked for is not installed.
    """
    step = conversion.step
    if step and step.quantizer == "litert":
        plain = convert(saved_model, Conversion(), {})
        examples = one_by_one(representative) if step.kind in CALIBRATED else iter(())
        return litert.quantize(plain, step, conversion.per_channel, examples)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if step or conversion.trained:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # One scale a dense kernel, as TensorFlow 2.16 has it by itself: with one per unit, which 2.21 prefers, the smallest taxi
    # model is 7 % larger and no better.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if not conversion.per_channel:
        converter._experimental_disable_per_channel = True
    if step:
        _apply(step, converter, representative, conversion.trained)
    return converter.convert()


def _apply(step: Quantize, converter: tf.lite.TFLiteConverter, representative: Mapping[str, np.ndarray], trained: bool) -> None:
    if step.sparse:
        converter.optimizations = [tf.lite.Optimize.DEFAULT, tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    if step.kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if step.kind in CALIBRATED and not trained:
        operators = tf.lite.OpsSet
        int16 = operators.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [operators.TFLITE_BUILTINS_INT8 if step.kind == "int8" else int16]
        converter.representative_dataset = lambda: one_by_one(representative)
    if step.io == "integer":
        converter.inference_input_type = converter.inference_output_type = tf.int8 if step.kind == "int8" else tf.int16


def one_by_one(examples: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Give examples {name: (n, width)} as n batches of one.

    Raises:
      ValueError: there are none.
    """
    num_examples = min((len(x) for x in examples.values()), default=0)
    if not num_examples:
        raise ValueError("int8 needs representative examples, got none. Raise `compression.representative.num_examples`.")
    for i in range(num_examples):
        yield {name: x[i : i + 1] for name, x in examples.items()}
