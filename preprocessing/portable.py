"""The transform graph for a device: the same features from dense raw columns, by TFLite's builtin operators alone."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from preprocessing.portable_ops import (
    ELEMENTWISE,
    REPLACED,
    WHOLE,
    Positions,
    UnsupportedError,
    Value,
    Values,
    is_plain,
)

Part = Literal["indices", "values", "shape", "dense"]


class NotPortable(ValueError):  # noqa: N818 - what it says about a feature
    """Features that builtin operators cannot compute; the message names them, their problem and the cure."""


class PortableTransform(tf.Module):
    """Some outputs of a transform, from the raw columns that they depend on.

    The transform's graph is traced anew, operation by operation, with those replaced that TFLite has no builtin operator for.
    A column is dense, (batch, 1), with a marker where there is no value: NaN, the smallest int64, or "".

    Attributes:
      input_specs: {raw column: (None, 1) float32, int64 or string}, sorted by name.
    """

    def __init__(self, transform: tft.TFTransformOutput, outputs: Mapping[str, str]):
        """Find out which columns the outputs need, and that they are portable.

        Args:
          transform: the transform graph.
          outputs: {transformed name: name of its feature in the config, for messages}.

        Raises:
          NotPortable: builtin operators cannot compute an output.
          ValueError: the transform has no output of such a name.
        """
        super().__init__()
        self._graph = _TransformGraph.load(transform)
        self._outputs = dict(outputs)
        self._tables = {name: Table(x) for name, x in self._graph.constants.items() if x.dtype == tf.resource}
        if unknown := sorted(self._outputs.keys() - self._graph.outputs.keys()):
            raise ValueError(f"The transform graph has no outputs {unknown}. Expected some of: {sorted(self._graph.outputs)}.")
        specs = {name: tf.TensorSpec([None, 1], dtype) for name, dtype in sorted(self._graph.dtypes.items())}
        needed: set[str] = set()
        tf.function(lambda raw: self._transform(raw, needed), autograph=False).get_concrete_function(specs)
        self.input_specs = {name: spec for name, spec in specs.items() if name in needed}

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Transform raw columns.

        Args:
          raw: {column: (batch, 1)} as in `input_specs`; others are ignored.

        Returns:
          {transformed name: float32 or int64 (batch, width)}, equal to what the transform itself gives.

        Raises:
          ValueError: a column is absent.
        """
        if absent := sorted(self.input_specs.keys() - raw.keys()):
            raise ValueError(f"The raw columns {absent} are absent. Expected: {list(self.input_specs)}.")
        columns = {name: tf.convert_to_tensor(raw[name], spec.dtype) for name, spec in self.input_specs.items()}
        return self._transform(columns, set())

    def _transform(self, raw: Mapping[str, tf.Tensor], needed: set[str]) -> dict[str, tf.Tensor]:
        trace = _Trace(self._graph, raw, self._tables)
        transformed: dict[str, tf.Tensor] = {}
        problems: dict[str, dict[str, None]] = {}
        for name, feature in self._outputs.items():
            try:
                transformed[name] = trace.output(name)
            except UnsupportedError as error:
                problems.setdefault(str(error), {})[feature] = None
        if problems:
            raise NotPortable("\n".join(_sentence(list(features), problem) for problem, features in problems.items()))
        needed |= trace.needed
        return transformed


def _sentence(features: Sequence[str], problem: str) -> str:
    names = ", ".join(f"'{feature}'" for feature in features)
    return f"Feature{'s' if len(features) > 1 else ''} {names}: {problem}"


class Table(tf.Module):
    """A vocabulary: the table behind a resource, rebuilt from constants as soon as something is looked up."""

    def __init__(self, handle: tf.Tensor):
        super().__init__()
        self._handle = handle
        self._table: tf.lookup.StaticHashTable | None = None

    @functools.cached_property
    def ids(self) -> dict[bytes, int]:
        """The content, {string: id}, by id."""
        with tf.init_scope():
            keys, ids = tf.raw_ops.LookupTableExportV2(table_handle=self._handle, Tkeys=tf.string, Tvalues=tf.int64)
            return dict(sorted(zip(keys.numpy().tolist(), ids.numpy().tolist(), strict=True), key=operator.itemgetter(1)))

    def find(self, text: tf.Tensor, default: int) -> tf.Tensor:
        """Look strings up: int64, of the same shape."""
        if self._table is None:
            with tf.init_scope():
                # A table that reads the vocabulary's file converts as well, and fails on the device.
                keys, ids = tf.constant(list(self.ids), tf.string), tf.constant(list(self.ids.values()), tf.int64)
                self._table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, ids), default)
        return self._table.lookup(text)


@dataclass(frozen=True)
class _TransformGraph:
    """The operations of a transform, and what its inputs and outputs stand for; tensors go by their names.

    Attributes:
      dtypes: {raw column: dtype}.
      columns: {input: its raw column, and which part of it}.
      constants: {input: what the analysis found; a resource for a vocabulary}.
      outputs: {transformed name: tensor}.
      loaded: keeps the resources.
    """

    dtypes: Mapping[str, tf.DType]
    columns: Mapping[str, tuple[str, Part]]
    constants: Mapping[str, tf.Tensor]
    outputs: Mapping[str, tf.Tensor]
    loaded: object

    @classmethod
    def load(cls, transform: tft.TFTransformOutput) -> _TransformGraph:
        """Read a transform.

        Raises:
          NotPortable: it was written for TensorFlow 1.
        """
        loaded = tf.saved_model.load(transform.transform_savedmodel_dir)
        function = getattr(loaded, "transform_fn", None)
        if function is None:
            raise NotPortable("The transform graph was written for TensorFlow 1. Run Transform with force_tf_compat_v1=False.")
        specs = function.structured_input_signature[0][0]
        parts = [(name, part) for name in sorted(specs) for part in _parts(specs[name])]
        inputs = [x.name for x in function.inputs]
        return cls(
            dtypes={name: spec.dtype for name, spec in specs.items()},
            columns=dict(zip(inputs, parts, strict=False)),  # what was captured comes after the columns
            constants=dict(zip(inputs[len(parts) :], function.captured_inputs, strict=True)),
            outputs=dict(zip(sorted(function.structured_outputs), function.outputs, strict=True)),
            loaded=loaded,
        )


def _parts(spec: tf.TypeSpec) -> Iterator[Part]:
    if isinstance(spec, tf.SparseTensorSpec):
        yield from ("indices", "values", "shape")
    else:
        yield "dense"


class _Trace:
    """One pass over a transform graph: what becomes of its tensors, each worked out when it is first asked for."""

    def __init__(self, graph: _TransformGraph, raw: Mapping[str, tf.Tensor], tables: Mapping[str, Table]):
        self.needed: set[str] = set()
        self._graph = graph
        self._raw = raw
        self._tables = tables
        self._values: dict[str, Value] = {}

    def output(self, name: str) -> tf.Tensor:
        """Return an output of the transform."""
        value = self.value(self._graph.outputs[name])
        if not is_plain(value):
            raise UnsupportedError("it is text, which TFLite cannot write. Use no recipe with `inputs: raw`.")
        return tf.convert_to_tensor(value)

    def value(self, tensor: tf.Tensor) -> Value:
        """Return what becomes of a tensor of the transform graph.

        Raises:
          UnsupportedError: builtin operators cannot express it.
        """
        if tensor.name not in self._values:
            if tensor.op.type == "Placeholder":
                self._values[tensor.name] = self._input(tensor)
            else:
                values = self._rewritten(tensor.op, [self.value(x) for x in tensor.op.inputs])
                self._values |= {x.name: value for x, value in zip(tensor.op.outputs, values, strict=True)}
        return self._values[tensor.name]

    def _input(self, tensor: tf.Tensor) -> Value:
        name = tensor.name
        if name in self._graph.constants:
            return self._tables[name] if tensor.dtype == tf.resource else _array(self._graph.constants[name])
        column, part = self._graph.columns[name]
        self.needed.add(column)
        raw = self._raw[column]
        if part == "indices":
            return Positions(raw)
        if part == "values":
            return Values(raw)
        if part == "shape":
            return tf.shape(raw, tf.int64)
        if not tensor.shape.is_compatible_with([None, 1]):
            raise UnsupportedError(
                f"column '{column}' has shape {tensor.shape}, expected (batch, 1). Use no recipe with `inputs: raw`."
            )
        return raw

    def _rewritten(self, op: tf.Operation, inputs: Sequence[Value]) -> Sequence[Value]:
        if op.type in ELEMENTWISE and any(isinstance(x, Values) for x in inputs):
            return [Values(x) for x in self._rewritten(op, [x.dense if isinstance(x, Values) else x for x in inputs])]
        if op.type == "Const":
            return [tf.make_ndarray(op.get_attr("value"))]
        if all(isinstance(x, np.ndarray) for x in inputs) and not op.op_def.is_stateful:
            with tf.init_scope():  # computes now
                return [_array(x) for x in _repeated(op, inputs)]
        if op.type in REPLACED:
            return [REPLACED[op.type](op, inputs, self.value)]
        if op.type not in ELEMENTWISE | WHOLE:
            raise UnsupportedError(f"it needs the operation {op.type}, which TFLite lacks. Use no recipe with `inputs: raw`.")
        if not all(is_plain(x) for x in inputs):
            raise UnsupportedError(
                f"it applies {op.type} to text, or to a column without its gaps. Use no recipe with `inputs: raw`."
            )
        return _repeated(op, inputs)


def _array(constant: tf.Tensor) -> np.ndarray:
    return np.asarray(constant.numpy(), constant.dtype.as_numpy_dtype)


def _repeated(op: tf.Operation, inputs: Sequence[tf.Tensor | np.ndarray]) -> list[tf.Tensor]:
    """Return the outputs of the same operation on other inputs."""
    arguments: dict[str, object] = {}
    remaining, inferred = list(inputs), set()
    for argument in op.op_def.input_arg:
        inferred |= {argument.type_attr, argument.number_attr}
        count = op.get_attr(argument.number_attr) if argument.number_attr else 1
        given, remaining = remaining[:count], remaining[count:]
        arguments[argument.name] = given if argument.number_attr else given[0]
    arguments |= {attr.name: op.get_attr(attr.name) for attr in op.op_def.attr if attr.name not in inferred}
    outputs = getattr(tf.raw_ops, op.type)(**arguments)
    return [outputs] if tf.is_tensor(outputs) else list(outputs)
