"""What a model is made of: proof that a technique acted. Counted in the flatbuffer that is shipped, not in the model before."""

from __future__ import annotations

import collections
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from models.compression.quantization import Conversion
from models.compression.tflite import check_builtin

# TFLite leaves smaller kernels in float when activations are: quantizing them saves less than the operators it adds.
SMALLEST_DYNAMIC = 1024
_ACTIVATIONS = {"int8": "INT8", "int16x8": "INT16"}
_KEPT = 0.98  # rounding makes zeros, and may lose the zero of a padding
_DTYPES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_NUMPY = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8, "INT16": np.int16, "UINT8": np.uint8}


@dataclass(frozen=True)
class Weight:
    """A kernel or an embedding table in a flatbuffer.

    Attributes:
      name: of the layer it belongs to; the converter's own name of the constant where no layer has such numbers.
      dtype: such as "INT8".
      size: how many numbers it holds, zeros included.
      zeros: how many of them are zero.
      distinct: how many values occur.
    """

    name: str
    dtype: str
    size: int
    zeros: int
    distinct: int


@dataclass(frozen=True)
class Evidence:
    """What a flatbuffer holds.

    Attributes:
      weights: constants with two or more dimensions.
      activations: {dtype: number of tensors} of all that is computed.
      operators: {name: count}.
      parameters: numbers in all float and quantized constants.
    """

    weights: tuple[Weight, ...]
    activations: Mapping[str, int]
    operators: Mapping[str, int]
    parameters: int

    @property
    def sparsity(self) -> float:
        """Share of zeros in the weights."""
        size = sum(weight.size for weight in self.weights)
        return sum(weight.zeros for weight in self.weights) / size if size else 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"sparsity": self.sparsity}


def examine(content: bytes, kernels: Mapping[str, np.ndarray] | None = None) -> Evidence:
    """Read a flatbuffer.

    Args:
      content: the flatbuffer.
      kernels: weights of the model it was made of by the names of their layers: a converter renames and transposes them.

    Raises:
      ValueError: it needs operators outside the builtin set.
    """
    check_builtin(content)
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    weights: list[Weight] = []
    names = _LayerNames(kernels or {})
    activations: collections.Counter[str] = collections.Counter()
    parameters = 0
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data, dtype = model.buffers[tensor.buffer].data, _DTYPES[tensor.type]
            if data is None or not len(data):
                activations[dtype] += 1
                continue
            if dtype not in _NUMPY:
                continue
            size = int(np.prod(tensor.shape)) if tensor.shape is not None else 1
            parameters += size
            if tensor.shape is not None and len(tensor.shape) > 1 and size > 1:
                weights.append(_weight(tensor, np.frombuffer(bytes(data), _NUMPY[dtype]), dtype, size, names))
    return Evidence(tuple(weights), dict(activations), _operators(model), parameters)


def _weight(tensor: Any, values: np.ndarray, dtype: str, size: int, names: _LayerNames) -> Weight:
    zero = 0
    points = tensor.quantization.zeroPoint if tensor.quantization is not None else None
    if points is not None and len(points) == 1:  # one per channel are all 0
        zero = int(points[0])
    # A sparse encoding holds the non-zero blocks only.
    zeros = size - int(np.count_nonzero(values != zero))
    distinct = len(np.unique(values)) + (len(values) < size and zero not in values)
    own = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name or ""
    dense = values.astype(np.float32).reshape(tensor.shape) - zero if len(values) == size else None
    return Weight(names.take(size, zeros, dense) or own, dtype, size, zeros, distinct)


class _LayerNames:
    """Finds the layer of a constant: that whose kernel has as many numbers and, if there are several, the same ones."""

    def __init__(self, kernels: Mapping[str, np.ndarray]):
        self._kernels = dict(kernels)

    def take(self, size: int, zeros: int, numbers: np.ndarray | None) -> str | None:
        """Return the layer of a constant of the flatbuffer, once each; None when there is none.

        Args:
          size: how many numbers it has.
          zeros: how many of them are zero.
          numbers: quantized, outputs first; None where a sparse encoding has them in an order of its own.
        """
        candidates = [name for name, kernel in self._kernels.items() if kernel.size == size]
        if not candidates:
            return None
        if numbers is None:
            best = min(candidates, key=lambda name: abs(size - np.count_nonzero(self._kernels[name]) - zeros))
        else:
            flat = numbers.reshape(-1) - numbers.mean()
            best = max(candidates, key=lambda name: _likeness(self._kernels[name], flat))
        del self._kernels[best]
        return best


def _likeness(kernel: np.ndarray, flat: np.ndarray) -> float:
    """Return the largest correlation of a kernel, inputs or outputs first, with what may be its quantized form."""
    layouts = (kernel, np.moveaxis(kernel, -1, 0))
    return max(float(np.dot(x.reshape(-1) - x.mean(), flat)) / (float(np.std(x)) + 1e-12) for x in layouts)


def _operators(model: Any) -> dict[str, int]:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    counts = collections.Counter(names[codes[x.opcodeIndex]] for graph in model.subgraphs for x in graph.operators or ())
    return dict(counts)


def check_quantized(
    evidence: Evidence, conversion: Conversion, left_in_float: Sequence[str] = (), quantized: Collection[str] = ()
) -> None:
    """Raise ValueError when quantization left float32 kernels, or changed nothing.

    Args:
      evidence: of the converted model.
      conversion: how it was converted.
      left_in_float: layers that quantization-aware training could not quantize, and said so.
      quantized: the layers that it did quantize; looked at when some others were left.
    """
    kind = conversion.step.kind if conversion.step and not conversion.trained else "int8" if conversion.trained else None
    if conversion.step and conversion.step.sparse and "DENSIFY" not in evidence.operators:
        raise ValueError("`sparse: true` found no kernel with enough zeros to encode. Put `prune` before it, or leave it out.")
    if kind is None:
        return
    expected = "FLOAT16" if kind == "float16" else "INT8"
    if not any(weight.dtype == expected for weight in evidence.weights):
        found = sorted({weight.dtype for weight in evidence.weights})
        raise ValueError(f"{kind} did nothing: the weights are {found}, none is {expected}. Kernels may be too small for it.")
    if (wanted := _ACTIVATIONS.get(kind)) and not evidence.activations.get(wanted):
        raise ValueError(f"{kind} did nothing to the activations: none is {wanted}, they are {sorted(evidence.activations)}.")
    smallest = SMALLEST_DYNAMIC if kind == "dynamic" else 2
    left = [weight for weight in evidence.weights if weight.dtype == "FLOAT32" and weight.size >= smallest]
    if left_in_float:
        # What belongs to no layer that was quantized is a part of one that was not, such as a gate of an LSTM.
        left = [weight for weight in left if weight.name in quantized]
    if left:
        names = ", ".join(f"{weight.name or 'unnamed'} ({weight.size:,})" for weight in left)
        tables = " LiteRT's quantizer leaves tables of embeddings alone; use int8, or `quantizer: converter`."
        by_litert = conversion.step is not None and conversion.step.quantizer == "litert" and kind == "dynamic"
        raise ValueError(f"{kind} left kernels in float32: {names}.{tables if by_litert else ''}")


def check_kept(evidence: Evidence, notes: Mapping[str, Any]) -> None:
    """Raise ValueError when zeros or clusters of earlier steps have not survived into the flatbuffer.

    Args:
      evidence: of the converted model.
      notes: of the steps: `zeros`, how many each layer got; `clustered`, how many values each may hold.
    """
    found = {weight.name: weight for weight in evidence.weights}
    for kind in ("zeros", "clustered"):
        if missing := sorted(notes.get(kind, {}).keys() - found.keys()):
            raise ValueError(f"The converted model has no kernels of the layers {missing}, so what was done to them is lost.")
    for layer, made in notes.get("zeros", {}).items():
        if found[layer].zeros < _KEPT * made:
            raise ValueError(
                f"pruning made {made:,} zeros in layer '{layer}', {found[layer].zeros:,} are left in the converted model."
            )
    for layer, values in notes.get("clustered", {}).items():
        if found[layer].distinct > values + 1:  # zero may be a value beside the clusters
            raise ValueError(
                f"clustering left {values} values in layer '{layer}', the converted model has {found[layer].distinct}."
            )


def compacted(content: bytes) -> bytes:
    """Return a flatbuffer without the names of inner tensors, descriptions and metadata: an interpreter needs none of them."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    model.description = None
    model.metadata = None
    for graph in model.subgraphs:
        graph.name = None
        kept = {*graph.inputs, *graph.outputs}
        for position, tensor in enumerate(graph.tensors):
            if position not in kept:
                tensor.name = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
