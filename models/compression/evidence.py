"""What a model is made of: proof that a technique acted. Counted in the flatbuffer that is shipped, not in the model before."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from models.compression.quantization import Conversion
from models.compression.tflite import check_builtin

# TFLite leaves smaller kernels in float when activations are: quantizing them saves less than the operators it adds.
SMALLEST_DYNAMIC = 1024
_KEPT = 0.98  # rounding makes zeros, and may lose the zero of a padding
_DTYPES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_NUMPY = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8, "INT16": np.int16, "UINT8": np.uint8}


@dataclass(frozen=True)
class Weight:
    """A kernel or an embedding table in a flatbuffer.

    Attributes:
      name: of the tensor.
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


def examine(content: bytes) -> Evidence:
    """Read a flatbuffer.

    Raises:
      ValueError: it needs operators outside the builtin set.
    """
    check_builtin(content)
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    weights: list[Weight] = []
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
                weights.append(_weight(tensor, np.frombuffer(bytes(data), _NUMPY[dtype]), dtype, size))
    return Evidence(tuple(weights), dict(activations), _operators(model), parameters)


def _weight(tensor: Any, values: np.ndarray, dtype: str, size: int) -> Weight:
    zero = 0
    points = tensor.quantization.zeroPoint if tensor.quantization is not None else None
    if points is not None and len(points) == 1:  # one per channel are all 0
        zero = int(points[0])
    # A sparse encoding holds the non-zero blocks only.
    zeros = size - int(np.count_nonzero(values != zero))
    distinct = len(np.unique(values)) + (len(values) < size and zero not in values)
    name = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name or ""
    return Weight(name, dtype, size, zeros, distinct)


def _operators(model: Any) -> dict[str, int]:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    counts = collections.Counter(names[codes[x.opcodeIndex]] for graph in model.subgraphs for x in graph.operators or ())
    return dict(counts)


def check_quantized(evidence: Evidence, conversion: Conversion, left_in_float: Sequence[str] = ()) -> None:
    """Raise ValueError when quantization left float32 kernels, or changed nothing.

    Args:
      evidence: of the converted model.
      conversion: how it was converted.
      left_in_float: layers that quantization-aware training could not quantize, and said so.
    """
    kind = conversion.step.kind if conversion.step and not conversion.trained else "int8" if conversion.trained else None
    if kind is None:
        return
    expected = "FLOAT16" if kind == "float16" else "INT8"
    if not any(weight.dtype == expected for weight in evidence.weights):
        found = sorted({weight.dtype for weight in evidence.weights})
        raise ValueError(f"{kind} did nothing: the weights are {found}, none is {expected}. Kernels may be too small for it.")
    if left_in_float:
        return
    smallest = SMALLEST_DYNAMIC if kind == "dynamic" else 2
    left = [weight for weight in evidence.weights if weight.dtype == "FLOAT32" and weight.size >= smallest]
    if left:
        names = ", ".join(f"{weight.name or 'unnamed'} ({weight.size:,})" for weight in left)
        raise ValueError(f"{kind} left kernels in float32: {names}.")


def check_kept(evidence: Evidence, notes: Mapping[str, Any]) -> None:
    """Raise ValueError when zeros or clusters of earlier steps have not survived into the flatbuffer.

    Args:
      evidence: of the converted model.
      notes: of the steps: `zeros`, how many were made; `clustered`, how many kernels and their number of values.
    """
    zeros, made = sum(weight.zeros for weight in evidence.weights), notes.get("zeros", 0)
    if zeros < _KEPT * made:
        raise ValueError(f"pruning made {made:,} zeros, {zeros:,} are left in the converted model.")
    if clustered := notes.get("clustered"):
        # Zero may be a value beside the clusters.
        kept = sum(weight.distinct <= clustered["values"] + 1 for weight in evidence.weights)
        if kept < clustered["kernels"]:
            raise ValueError(
                f"clustering left {clustered['kernels']} kernels with at most {clustered['values']} values, "
                f"{kept} of the converted model's have as few."
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
