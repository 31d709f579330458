"""The TFLite interpreter: predictions, latency, and what a flatbuffer takes, gives and is made of."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


class EdgeModel:
    """A `.tflite` in the stock interpreter: builtin operators only, one thread."""

    def __init__(self, content: bytes):
        """Load a flatbuffer.

        Raises:
          ValueError: it is no flatbuffer, or needs operators outside the builtin set.
        """
        try:
            self._interpreter = tf.lite.Interpreter(
                model_content=content,
                num_threads=1,
                experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"The stock TFLite interpreter refuses the model: {str(error).strip()}. Only builtin operators run on devices."
            ) from error
        signature = self._interpreter.get_signature_runner()
        self._inputs: dict[str, dict[str, Any]] = signature.get_input_details()
        self._outputs: dict[str, dict[str, Any]] = signature.get_output_details()
        self._batch_size = 1

    def predict(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 (n, units) for {name: (n, width)}; quantized inputs and outputs are converted."""
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

    def latency_us(self, example: Mapping[str, np.ndarray], num_runs: int = 300) -> float:
        """Return the median time of one single-example inference after warm-up, in microseconds, on one thread."""
        self.predict({name: x[:1] for name, x in example.items()})
        times = []
        for i in range(num_runs + 20):
            start = time.perf_counter()
            self._interpreter.invoke()
            if i >= 20:
                times.append(time.perf_counter() - start)
        return float(np.median(times) * 1e6)

    def tensor_types(self) -> dict[str, int]:
        """Return {dtype name: number of tensors}, such as {"INT8": 12, "FLOAT32": 3}."""
        names = (np.dtype(d["dtype"]).name.upper() for d in self._interpreter.get_tensor_details())
        return dict(collections.Counter(names))

    def describe(self) -> dict[str, list[dict[str, Any]]]:
        """Return every input and output: name, dtype, shape (-1 for the batch), scale and zero point (None in float)."""
        return {
            "inputs": [_describe(name, detail) for name, detail in self._inputs.items()],
            "outputs": [_describe(name, detail) for name, detail in self._outputs.items()],
        }


def scores(model: EdgeModel, batches: Iterable[tuple[Mapping[str, np.ndarray], np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over batches of (features, label): label (n,) and scores (n, units) of all of them."""
    labels, outputs = [], []
    for features, label in batches:
        labels.append(np.asarray(label).reshape(-1))
        outputs.append(model.predict({name: np.asarray(x) for name, x in features.items()}))
    return np.concatenate(labels), np.concatenate(outputs)


def _quantized(x: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
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
