"""Operations of a transform graph in terms of TFLite's builtin ones: which pass as they are, and what replaces the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

# fmt: off
# Make element i of the output from the elements i of the inputs; have a builtin operator, or a replacement below.
ELEMENTWISE = frozenset({
    "Abs", "AddV2", "AsString", "Cast", "Cos", "Div", "Equal", "Exp", "Floor", "FloorDiv", "FloorMod", "Greater",
    "GreaterEqual", "Identity", "IsNan", "Less", "LessEqual", "Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr",
    "Maximum", "Minimum", "Mul", "Neg", "NotEqual", "OnesLike", "Pow", "RealDiv", "Rsqrt", "SelectV2", "Sign", "Sin", "Sqrt",
    "Square", "Sub", "ZerosLike",
})
# Work on whole tensors, and have a builtin operator.
WHOLE = frozenset({
    "ArgMax", "BroadcastTo", "ConcatV2", "ExpandDims", "Fill", "GatherV2", "Max", "Mean", "Min", "OneHot", "Pack", "Prod",
    "Range", "Shape", "Slice", "Squeeze", "StridedSlice", "Sum", "Tile", "Transpose",
})
# fmt: on


class UnsupportedError(ValueError):
    """What builtin operators cannot express: the problem and its cure, without the name of the feature."""


def missing_marker(dtype: tf.DType) -> float | int | bytes:
    """Return what stands for "no value" in a dense raw column: NaN, the smallest integer, or an empty string."""
    if dtype == tf.string:
        return b""
    return math.nan if dtype.is_floating else dtype.min


@dataclass(frozen=True)
class Positions:
    """Where a sparse column has values."""

    column: tf.Tensor

    def present(self) -> tf.Tensor:
        """Return bool (batch, 1)."""
        if self.column.dtype.is_floating:
            return tf.equal(self.column, self.column)
        return tf.not_equal(self.column, tf.constant(missing_marker(self.column.dtype), self.column.dtype))


@dataclass(frozen=True)
class Values:
    """Values of a sparse column, or what became of each: kept in place, (batch, 1), with anything where one is missing."""

    dense: tf.Tensor | Text


@dataclass(frozen=True)
class Text:
    """Strings (batch, 1) that are never spelled out, since TFLite can neither write nor choose one.

    Attributes:
      find: looks each string up in {string: id}, with a default below all ids: int64 (batch, 1), or () if all are the same.
    """

    find: Callable[[Mapping[bytes, int], int], tf.Tensor]

    @classmethod
    def everywhere(cls, text: bytes) -> Text:
        """Return the same string in all places."""
        return cls(lambda ids, default: tf.constant(ids.get(text, default), tf.int64))

    @classmethod
    def chosen(cls, condition: tf.Tensor, then: Text, otherwise: Text) -> Text:
        """Return one text where the condition, bool (batch, 1), holds and another one elsewhere."""
        return cls(lambda ids, default: tf.where(condition, then.find(ids, default), otherwise.find(ids, default)))

    @classmethod
    def spelled(cls, numbers: tf.Tensor, style: Mapping[str, object]) -> Text:
        """Return numbers (batch, 1) as AsString writes them with these attributes; NaN equals no string."""

        def find(ids: Mapping[bytes, int], default: int) -> tf.Tensor:
            if not (read := _read(ids, numbers.dtype, style)):
                return tf.constant(default, tf.int64)
            matches = tf.equal(numbers, tf.constant([list(read.values())], numbers.dtype))
            known = tf.constant([[ids[text] for text in read]], tf.int64)
            return tf.reduce_max(tf.where(matches, known, tf.constant(default, tf.int64)), axis=1, keepdims=True)

        return cls(find)


def _read(texts: Mapping[bytes, int], dtype: tf.DType, style: Mapping[str, object]) -> dict[bytes, int | float]:
    """Return {text: number} for those texts that some number is written as."""
    numbers: dict[bytes, int | float] = {}
    for text in texts:
        try:
            number = int(text) if dtype.is_integer else float(text)
        except ValueError:
            continue
        if not dtype.is_integer or dtype.min <= number <= dtype.max:
            numbers[text] = number
    with tf.init_scope():
        written = tf.raw_ops.AsString(input=tf.constant(list(numbers.values()), dtype), **style).numpy()
    return {text: number for (text, number), again in zip(numbers.items(), written, strict=True) if text == again}


# What becomes of a tensor: a tensor, an np.ndarray when it is constant, Text, Positions, Values, or a portable.Table.
Value: TypeAlias = Any
ValueOf: TypeAlias = Callable[[tf.Tensor], Value]
Replacement: TypeAlias = Callable[[tf.Operation, Sequence[Value], ValueOf], Value]


def is_plain(value: Value) -> bool:
    """Return whether a value is a tensor or a constant, so that any operation takes it."""
    return isinstance(value, np.ndarray) or tf.is_tensor(value)


def _first(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    return inputs[0]


def _sparse_to_dense(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    positions, _, values, default = inputs
    if not (isinstance(positions, Positions) and isinstance(values, Values) and isinstance(default, np.ndarray)):
        raise UnsupportedError(
            "it makes a dense tensor of something other than a raw column. Use no recipe with `inputs: raw`."
        )
    column, held = positions.column, values.dense
    if isinstance(held, Text):
        return Text.chosen(positions.present(), held, Text.everywhere(default.item()))
    if held is column and (default == missing_marker(column.dtype) or default != default):
        return column  # the default is what stands there already
    if held.dtype == tf.string:
        raise UnsupportedError(f"it fills missing text with {default.item()!r}, and TFLite cannot choose text. Fill with ''.")
    return tf.where(positions.present(), held, default)


def _reshape(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    x, shape = inputs
    if isinstance(x, Text) and op.outputs[0].shape.is_compatible_with([None, 1]):
        return x
    if not (is_plain(x) and is_plain(shape)):
        raise UnsupportedError("it changes the shape of what has none on a device. Use no recipe with `inputs: raw`.")
    reshaped, source = tf.reshape(x, shape), _before_reshapes(x)
    if (known := _constant_shape(reshaped)) is None:
        return reshaped
    # A device need not compute a constant shape.
    return source if known == _constant_shape(source) else tf.reshape(source, known)


def _constant_shape(x: tf.Tensor) -> list[int] | None:
    """Return what tf.reshape needs to give a tensor its shape, -1 for an unknown size; None if there are more of them."""
    if x.shape.rank is None or x.shape.as_list().count(None) > 1:
        return None
    return [-1 if size is None else size for size in x.shape.as_list()]


def _before_reshapes(x: tf.Tensor) -> tf.Tensor:
    while tf.is_symbolic_tensor(x) and x.op.type == "Reshape":
        x = x.op.inputs[0]
    return x


def _select(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    condition, then, otherwise = inputs
    if op.outputs[0].dtype == tf.string:
        return Text.chosen(condition, _text(then), _text(otherwise))
    chosen = tf.where(condition, then, otherwise)
    # One number instead of a tensor full of it saves the operators that fill one.
    smaller = tf.where(condition, _filler(op.inputs[1], then, value_of), _filler(op.inputs[2], otherwise, value_of))
    return smaller if smaller.shape.as_list() == chosen.shape.as_list() else chosen


def _filler(tensor: tf.Tensor, value: Value, value_of: ValueOf) -> Value:
    """Return the number that a tensor is full of, if that can be seen; otherwise its value."""
    if tensor.op.type == "ZerosLike":
        return np.zeros((), tensor.dtype.as_numpy_dtype)
    if tensor.op.type == "Fill":
        return value_of(tensor.op.inputs[1])
    if tensor.op.type == "AddV2":
        x, y = (_filler(term, value_of(term), value_of) for term in tensor.op.inputs)
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            return x + y
    return value


def _text(value: Value) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, np.ndarray) and not value.shape:
        return Text.everywhere(value.item())
    raise UnsupportedError("it chooses between strings, and TFLite can only compare them. Use no recipe with `inputs: raw`.")


def _equal(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    text, other = inputs if isinstance(inputs[0], Text) else reversed(inputs)
    if not isinstance(text, Text):
        return tf.equal(text, other)
    if not isinstance(other, np.ndarray) or other.shape:
        raise UnsupportedError(
            "it compares numbers written as text with more than one string. Use no recipe with `inputs: raw`."
        )
    return tf.equal(text.find({other.item(): 1}, 0), 1)


def _not_equal(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    return tf.logical_not(_equal(op, inputs, value_of))


def _as_string(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    return Text.spelled(inputs[0], {attr.name: op.get_attr(attr.name) for attr in op.op_def.attr if attr.name != "T"})


def _lookup(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    table, text, default = inputs
    ids, unknown = table.ids, int(default)
    if unknown >= min(ids.values(), default=unknown + 1):
        raise UnsupportedError(
            f"{unknown}, for unknown values, is not below the ids of known ones. Use no recipe with `inputs: raw`."
        )
    if isinstance(text, Text):
        return text.find(ids, unknown)
    # The converter forgets the shape of what it finds, and an interpreter then refuses a batch of 1: state it.
    return tf.reshape(table.find(text, unknown), _constant_shape(text) or tf.shape(text))


def _table_size(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    return np.array(len(inputs[0].ids), np.int64)


def _hash_bucket(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    if (num_buckets := op.get_attr("num_buckets")) > 1:
        raise UnsupportedError(
            f"num_oov_buckets={num_buckets} needs string hashing, which TFLite lacks. "
            "Set num_oov_buckets: 1, or use no recipe with `inputs: raw`."
        )
    return np.array(0, np.int64)


def _upper_bound(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    boundaries = inputs[0]
    if not isinstance(boundaries, np.ndarray) or boundaries.dtype != np.float32 or len(boundaries) != 1:
        raise UnsupportedError("its bucket boundaries are no list of float32 constants. Use no recipe with `inputs: raw`.")
    # What the graph reshaped has two unknown sizes, which a device would have to compute.
    values = value_of(_before_reshapes(op.inputs[1]))
    buckets = tf.raw_ops.Bucketize(input=values, boundaries=boundaries[0].tolist())
    return tf.reshape(tf.cast(buckets, op.get_attr("out_type")), [1, -1])


def _lower_bound(op: tf.Operation, inputs: Sequence[Value], value_of: ValueOf) -> Value:
    # "Greater than b" is "not less than the number after b".
    return _upper_bound(op, [np.nextafter(inputs[0], np.float32(np.inf)), inputs[1]], value_of)


REPLACED: Mapping[str, Replacement] = {
    "AsString": _as_string,
    "EnsureShape": _first,
    "Equal": _equal,
    "Identity": _first,
    "LookupTableFindV2": _lookup,
    "LookupTableSizeV2": _table_size,
    "LowerBound": _lower_bound,
    "NotEqual": _not_equal,
    "Reshape": _reshape,
    "SelectV2": _select,
    "SparseToDense": _sparse_to_dense,
    "StringToHashBucketFast": _hash_bucket,
    "UpperBound": _upper_bound,
}
