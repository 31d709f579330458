"""The edge model that takes raw columns: the transform inside the `.tflite`, so that a device need not repeat it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from preprocessing.features import EncodedFeature
from preprocessing.portable import PortableTransform
from preprocessing.portable_ops import missing_marker

_ABSENT = -1  # in place of an optional input
_DTYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}

Traced = tuple[tf.types.experimental.ConcreteFunction, tf.Module]
Features = Mapping[str, tf.Tensor]


def raw_transform(
    transform: tft.TFTransformOutput, features: Sequence[EncodedFeature], arrange: Callable[[Features], Features] = dict
) -> bytes:
    """Convert the transform alone, to be `joined` with a model that is converted already, in whichever way.

    Converted together, float16 and int8 would round the constants and values of the transform too: a mean of 100,000
    overflows, buckets 0.01 degrees wide are lost.

    Args:
      transform: the transform graph.
      features: what the model reads.
      arrange: from {transformed name: (batch, width), int32 for ids, float32 for the rest} to {input of the model: tensor}.

    Returns:
      A float32 flatbuffer with builtin operators only, from {raw column: (batch, 1) float32, int64 or string}, a missing
      value being NaN, the smallest int64 or "", to what `arrange` gives.

    Raises:
      NotPortable: a feature needs more than TFLite's builtin operators.
    """
    function, module = _traced(transform, features, arrange)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=function)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        model = flatbuffer_utils.convert_bytearray_to_object(bytearray(converter.convert()))
    columns = _keywords(module.transform.input_specs)
    for entry in model.signatureDefs[0].inputs:
        entry.name = columns[entry.name.decode()].encode()
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _traced(
    transform: tft.TFTransformOutput, features: Sequence[EncodedFeature], compute: Callable[[Features], Features]
) -> Traced:
    module = tf.Module()
    module.transform = PortableTransform(transform, {f.name: f.feature for f in features})
    dtypes = {f.name: tf.int32 if f.num_ids else tf.float32 for f in features}

    def run(**raw: tf.Tensor) -> Features:
        transformed = module.transform({columns[keyword]: x for keyword, x in raw.items()})
        return compute({name: tf.cast(transformed[name], dtype) for name, dtype in dtypes.items()})

    specs = module.transform.input_specs
    columns = _keywords(specs)
    keywords = {keyword: tf.TensorSpec(specs[name].shape, specs[name].dtype, keyword) for keyword, name in columns.items()}
    function = tf.function(run, autograph=False).get_concrete_function(**keywords)
    module.captured_variables = list(function.variables)
    return function, module


def _keywords(columns: Iterable[str]) -> dict[str, str]:
    """Return {keyword: column}; TensorFlow takes identifiers only."""
    plain = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
    return {name if plain.fullmatch(name) else f"column_{position}": name for position, name in enumerate(columns)}


def joined(first: bytes, second: bytes) -> bytes:
    """Make one flatbuffer of two: the outputs of the first are, by their names in the signature, the inputs of the second.

    Args:
      first: with one signature; may have further subgraphs, such as those that fill tables.
      second: with one signature and one subgraph.

    Returns:
      A flatbuffer with the inputs of the first and the outputs of the second.

    Raises:
      ValueError: outputs and inputs differ in name, dtype or shape, or the second has more than one subgraph.
    """
    model, added = (flatbuffer_utils.convert_bytearray_to_object(bytearray(content)) for content in (first, second))
    if len(added.subgraphs) != 1:
        raise ValueError(f"The model has {len(added.subgraphs)} subgraphs; it needs to have one to be put behind another.")
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    (back,), (outputs,) = added.subgraphs, (x.outputs for x in added.signatureDefs)
    positions = _matched(graph, signature.outputs, back, added.signatureDefs[0].inputs)
    for position, tensor in enumerate(back.tensors):
        if position not in positions:
            positions[position] = len(graph.tensors)
            tensor.buffer += len(model.buffers)
            graph.tensors.append(tensor)
    for operator in back.operators:
        operator.opcodeIndex += len(model.operatorCodes)
        for role in ("inputs", "outputs", "intermediates"):
            if (tensors := getattr(operator, role)) is not None:
                setattr(operator, role, [positions.get(int(x), _ABSENT) for x in tensors])
    graph.operators += back.operators
    graph.outputs = [positions[int(x)] for x in back.outputs]
    signature.outputs = outputs
    for output in outputs:
        output.tensorIndex = positions[output.tensorIndex]
    model.operatorCodes += added.operatorCodes
    model.buffers += added.buffers
    model.metadata = None  # says how one of them was converted, and the oldest runtime for it
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _matched(front: Any, outputs: Sequence[Any], back: Any, inputs: Sequence[Any]) -> dict[int, int]:
    """Return {position of an input in the second graph: position of the output of that name in the first}."""
    given = {x.name.decode(): x.tensorIndex for x in outputs}
    taken = {x.name.decode(): x.tensorIndex for x in inputs}
    offered = {name: _kind(front.tensors[i]) for name, i in given.items()}
    expected = {name: _kind(back.tensors[i]) for name, i in taken.items()}
    for name in sorted(offered.keys() | expected.keys()):
        wanted, found = expected.get(name, "no such input"), offered.get(name, "no such output")
        if wanted != found:
            raise ValueError(
                f"The transform does not give what the model takes. '{name}': expected {wanted}, got {found}. "
                "Quantize with `io: float`, and arrange the features as the model does."
            )
    return {taken[name]: given[name] for name in taken}


def _kind(tensor: Any) -> str:
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return f"{_DTYPES[tensor.type]} {[int(size) for size in shape]}"


def raw_columns(examples: Sequence[bytes], transform: tft.TFTransformOutput, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Read raw columns of examples as a raw-feature model takes them.

    Args:
      examples: serialized tf.Examples.
      transform: knows the types of the columns.
      columns: names.

    Returns:
      {column: (n, 1) float32, int64, or object for bytes}, a missing value being NaN, the smallest int64 or b"".

    Raises:
      ValueError: the transform reads no such column, or an example has more than one value of it.
    """
    spec, columns = transform.raw_feature_spec(), list(columns)
    if unknown := sorted(set(columns) - spec.keys()):
        raise ValueError(f"The transform reads no columns {unknown}. Expected some of: {sorted(spec)}.")
    sparse = {name: tf.io.VarLenFeature(spec[name].dtype) for name in columns}
    parsed = tf.io.parse_example(tf.constant(list(examples), tf.string, [len(examples)]), sparse)
    return {name: _dense(name, column, len(examples)) for name, column in parsed.items()}


def _dense(name: str, column: tf.SparseTensor, num_examples: int) -> np.ndarray:
    rows, positions = column.indices.numpy().T
    if positions.any():
        raise ValueError(
            f"Column '{name}' has {positions.max() + 1} values in example {rows[positions.argmax()]}; a raw-feature model "
            "takes at most one. Use no recipe with `inputs: raw`."
        )
    dense = np.full((num_examples, 1), missing_marker(column.dtype), column.dtype.as_numpy_dtype)
    dense[rows, 0] = column.values.numpy()
    return dense
