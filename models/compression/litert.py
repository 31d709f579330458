"""Post-training quantization by LiteRT's quantizer, which takes the place of the converter's own (TensorFlow 2.21 on).

Ranges of activations are the smallest and the largest value of all representative examples, as the converter has them; the
library's default, a moving average over batches, forgets the first examples.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from models.compression.interpreters import runtime

if TYPE_CHECKING:
    from models.compression.quantization import Quantize

NOT_INSTALLED = (
    "`quantizer: litert` needs the package litert-quantizer, which TFX 1.21's generation has (docs/adr/0002). "
    "Use `quantizer: converter` here."
)
_BITS = {"int8": 8, "int16x8": 16}


def is_installed() -> bool:
    """Return whether the library is there: TFX 1.21's generation has it."""
    return importlib.util.find_spec("litert_quantizer") is not None


def quantize(content: bytes, step: Quantize, per_channel: bool, examples: Iterator[dict[str, np.ndarray]]) -> bytes:
    """Quantize a float32 flatbuffer.

    Args:
      content: with one signature and builtin operators.
      step: dynamic, int8 or int16x8.
      per_channel: a scale per output channel of convolutions, else one per kernel, as of dense layers.
      examples: batches of one {name: (1, width)} that calibrate int8 and int16x8.

    Returns:
      The quantized flatbuffer.

    Raises:
      ValueError: the library is not installed, or there are no examples to calibrate by.
    """
    if not is_installed():
        raise ValueError(NOT_INSTALLED)
    from litert_quantizer import quantizer

    recipe = _recipe(step, per_channel)
    ours = quantizer.Quantizer(bytearray(content), recipe.get_quantization_recipe())
    ranges = _ranges(content, recipe, examples) if ours.need_calibration else None
    return bytes(ours.quantize(ranges, enable_progress_bar=False, enable_progress_report=False).quantized_model)


def _recipe(step: Quantize, per_channel: bool) -> Any:
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    operation, granularity = qtyping.TFLOperationName, qtyping.QuantGranularity
    each = granularity.CHANNELWISE if per_channel else granularity.TENSORWISE
    recipe = recipe_manager.RecipeManager()
    if step.kind == "dynamic":
        recipe.add_dynamic_config(".*", operation.ALL_SUPPORTED, num_bits=8, granularity=each)
        return recipe
    for what, scales in ((operation.ALL_SUPPORTED, each), (operation.FULLY_CONNECTED, granularity.TENSORWISE)):
        recipe.add_static_config(".*", what, _BITS[step.kind], weight_num_bits=8, weight_granularity=scales)
    if step.io == "float":
        for edge in (operation.INPUT, operation.OUTPUT):
            recipe.add_quantization_config(".*", edge, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)
    return recipe


def _ranges(content: bytes, recipe: Any, examples: Iterator[Mapping[str, np.ndarray]]) -> Any:
    from litert_quantizer import calibrator
    from litert_quantizer.utils import qsv_utils

    watching = calibrator.Calibrator(bytearray(content), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    (signature,) = runtime().interpreter(model_content=content).get_signature_list()
    watching.calibrate({signature: list(examples)}, recipe)
    return watching.get_model_qsvs()
