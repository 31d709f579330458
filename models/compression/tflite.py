"""The TFLite interpreter: predictions, latency, memory, and what a flatbuffer takes and gives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from models.compression.interpreters import runtime

_NOT_IN_ARENA = (schema.TensorType.STRING, schema.TensorType.RESOURCE, schema.TensorType.VARIANT)


class EdgeModel:
    """A `.tflite` in the stock interpreter: builtin operators only, one thread."""

    def __init__(self, content: bytes):
        """Load a flatbuffer.

        Raises:
          ValueError: it is no flatbuffer, or needs operators outside the builtin set.
        """
        check_builtin(content)
        try:
            # On XNNPACK where it can, as is the interpreter's default.
            self._interpreter = runtime().interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"The stock TFLite interpreter refuses the model: {str(error).strip()}. Only builtin operators run on devices."
            ) from error
        signature = self._interpreter.get_signature_runner()
        self._inputs: dict[str, dict[str, Any]] = signature.get_input_details()
        self._outputs: dict[str, dict[str, Any]] = signature.get_output_details()
        self._resizable = all(detail["shape_signature"][0] == -1 for detail in self._inputs.values())
        self._batch_size = 1

    def predict(self, features: Mapping[str, np.ndarray], batch_size: int = 512) -> np.ndarray:
        """Return float32 (n, units) for {name: (n, width)}; quantized inputs and outputs are converted."""
        num_examples = len(next(iter(features.values())))
        size = batch_size if self._resizable else 1
        parts = [slice(start, start + size) for start in range(0, num_examples, size)]
        return np.concatenate([self._predict({name: features[name][part] for name in self._inputs}) for part in parts])

    def seconds(self, features: Mapping[str, np.ndarray], num_runs: int) -> float:
        """Return the mean time of one inference of a batch {name: (n, width)}, over some runs."""
        self._predict({name: features[name] for name in self._inputs})
        start = time.perf_counter()
        for _ in range(num_runs):
            self._interpreter.invoke()
        return (time.perf_counter() - start) / num_runs

    @property
    def input_names(self) -> list[str]:
        """The inputs, as the signature names them."""
        return list(self._inputs)

    @property
    def resizable(self) -> bool:
        """Whether a batch may have any size, not 1 only."""
        return self._resizable

    def describe(self) -> dict[str, list[dict[str, Any]]]:
        """Return every input and output: name, dtype, shape (-1 for the batch), scale and zero point (None in float)."""
        return {
            "inputs": [_describe(name, detail) for name, detail in self._inputs.items()],
            "outputs": [_describe(name, detail) for name, detail in self._outputs.items()],
        }

    def _predict(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        num_examples = len(next(iter(features.values())))
        if num_examples != self._batch_size:
            for name, detail in self._inputs.items():
                self._interpreter.resize_tensor_input(detail["index"], [num_examples, *features[name].shape[1:]])
            self._interpreter.allocate_tensors()
            self._batch_size = num_examples
        for name, detail in self._inputs.items():
            self._interpreter.set_tensor(detail["index"], _quantized(features[name], detail))
        self._interpreter.invoke()
        (output,) = self._outputs.values()
        return _dequantized(self._interpreter.get_tensor(output["index"]), output)


def check_builtin(content: bytes) -> None:
    """Refuse a flatbuffer with custom operators: Python's interpreter has TensorFlow's own built in, a device has not.

    Raises:
      ValueError: with the operators.
    """
    if not schema.Model.ModelBufferHasIdentifier(content, 0):
        return  # the interpreter says what it is
    model = schema.Model.GetRootAsModel(content, 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    if custom := [code.CustomCode().decode() for code in codes if code.CustomCode()]:
        raise ValueError(f"The model needs operators that no stock interpreter has: {custom}.")


def arena_bytes(content: bytes) -> int:
    """Return the memory that inputs, outputs and everything between them take for one example, in bytes.

    Measured at the addresses the interpreter gave them, without delegates, which have memory of their own.
    """
    here = runtime()
    interpreter = here.interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=here.without_delegates)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        text = detail["dtype"] in (np.bytes_, np.object_)
        interpreter.set_tensor(
            detail["index"], np.full(detail["shape"], b"") if text else np.zeros(detail["shape"], detail["dtype"])
        )
    interpreter.invoke()  # some sizes are known only then
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    spans = []
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        data = model.buffers[tensor.buffer].data
        # A constant, or text and tables, whose memory the interpreter keeps elsewhere.
        if (data is not None and len(data)) or tensor.type in _NOT_IN_ARENA:
            continue
        try:
            array = interpreter.tensor(index)()
        except (ValueError, RuntimeError):  # never allocated
            continue
        address = array.__array_interface__["data"][0]
        if address:
            spans.append((address, address + array.nbytes))
    return _covered(spans)


def _covered(spans: list[tuple[int, int]]) -> int:
    """Return how many bytes spans (start, end) cover together: tensors share memory when their lives do not overlap."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _quantized(x: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    if dtype.kind in "OS":  # text
        return np.asarray(x, dtype=object)
    if not scale or dtype.kind == "f":
        return x.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(x / scale) + zero_point, limits.min, limits.max).astype(dtype)


def _dequantized(x: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    return x.astype(np.float32) if not scale else ((x.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _describe(name: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    scale, zero_point = detail["quantization"]
    return {
        "name": name,
        "dtype": np.dtype(detail["dtype"]).name,
        "shape": [int(size) for size in detail["shape_signature"]],
        "scale": float(scale) or None,
        "zero_point": int(zero_point) if scale else None,
    }
