"""Typed columns to serialized tf.Examples, a block at a time.

tfx_bsl's encoder does the same one map entry at a time under Python's lock: 1.1 s for 150,020 taxi rows, on one core
however many there are. Here NumPy lays a column out and Arrow joins the columns, most of it outside the lock. A test holds the
two to each other.

The bytes are protocol buffers' wire format (https://protobuf.dev/programming-guides/encoding) of tensorflow/core/example:
Example{features=1: Features{feature=1: map<string, Feature>}}, Feature{bytes_list=1, float_list=2, int64_list=3}, a list being
{value=1}, with numbers packed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A field's tag is its number, then 2 in the last three bits for "length-delimited": all of Example's fields are.
_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"
_MISSING = -1


@dataclass(frozen=True)
class _Column:
    """One map entry per row: what comes before the value (by its size), then the value's bytes."""

    heads: pa.BinaryArray
    bodies: pa.BinaryArray
    sizes: np.ndarray  # of both together


def encode(columns: Mapping[str, pa.Array]) -> pa.BinaryArray:
    """Serialize rows.

    Args:
      columns: {feature: (rows,)} of int64, float32, binary or null type. Where a value is null the feature has no list.

    Returns:
      Binary (rows,), each a tf.Example with its features in the order of the columns.

    Raises:
      KeyError: a column of another type.
    """
    encoded = [_LAYOUTS[values.type](name.encode(), values) for name, values in columns.items()]
    sizes = np.sum([column.sizes for column in encoded], axis=0)
    parts = [part for column in encoded for part in (column.heads, column.bodies)]
    return pc.binary_join_element_wise(_by_size(sizes, lambda size: _FIRST + varint(size)), *parts, b"")


def varint(value: int) -> bytes:
    """Return a number in base 128, lowest digit first; a set eighth bit says that another digit follows."""
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def _integers(name: bytes, values: pa.Array) -> _Column:
    # Negative numbers have ten digits: two's complement in 64 bits.
    plain = np.ascontiguousarray(values.fill_null(0).to_numpy(zero_copy_only=False)).view(np.uint64)
    sizes = np.ones(len(plain), np.int64)
    for bits in range(7, 64, 7):
        if not (longer := plain >= np.uint64(1 << bits)).any():
            break
        sizes += longer
    digits = np.empty((len(plain), int(sizes.max(initial=1))), np.uint8)
    for i in range(digits.shape[1]):
        digits[:, i] = ((plain >> np.uint64(7 * i)) & np.uint64(127)).astype(np.uint8)
        digits[:, i] |= np.where(sizes > i + 1, np.uint8(128), np.uint8(0))
    sizes[_missing(values)] = _MISSING
    return _column(name, _THIRD, sizes, _cut(digits, np.maximum(sizes, 0)))


def _floats(name: bytes, values: pa.Array) -> _Column:
    plain = np.ascontiguousarray(values.fill_null(0).to_numpy(zero_copy_only=False), "<f4")
    sizes = np.where(_missing(values), _MISSING, 4)
    return _column(name, _SECOND, sizes, _cut(plain.view(np.uint8).reshape(-1, 4), np.maximum(sizes, 0)))


def _texts(name: bytes, values: pa.Array) -> _Column:
    sizes = pc.binary_length(values).fill_null(_MISSING).to_numpy(zero_copy_only=False).astype(np.int64)
    return _column(name, _FIRST, sizes, values.fill_null(b""))


def _nothing(name: bytes, values: pa.Array) -> _Column:
    return _column(name, b"", np.full(len(values), _MISSING), pa.array([b""] * len(values), pa.binary()))


_LAYOUTS: Mapping[pa.DataType, Callable[[bytes, pa.Array], _Column]] = {
    pa.int64(): _integers,
    pa.float32(): _floats,
    pa.binary(): _texts,
    pa.null(): _nothing,
}


def _column(name: bytes, tag: bytes, sizes: np.ndarray, bodies: pa.BinaryArray) -> _Column:
    """Put the heads before values of some sizes."""

    def head(size: int) -> bytes:
        values = b"" if size == _MISSING else _FIRST + varint(size)
        in_list = b"" if size == _MISSING else tag + varint(len(values) + size) + values
        in_feature = len(in_list) + max(size, 0)
        key = _FIRST + varint(len(name)) + name + _SECOND + varint(in_feature)
        return _FIRST + varint(len(key) + in_feature) + key + in_list

    heads = _by_size(sizes, head)
    return _Column(heads, bodies, np.maximum(sizes, 0) + np.asarray(pc.binary_length(heads)))


def _by_size(sizes: np.ndarray, spell: Callable[[int], bytes]) -> pa.BinaryArray:
    """Return spell(size) for every row, calling it once per size."""
    indexed = pa.array(sizes).dictionary_encode()
    return pa.array(map(spell, indexed.dictionary.to_pylist()), pa.binary()).take(indexed.indices)


def _cut(cells: np.ndarray, sizes: np.ndarray) -> pa.BinaryArray:
    """Return the first bytes of each row of cells.

    Args:
      cells: uint8 (rows, width).
      sizes: int64 (rows,), at most width.
    """
    ends = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=ends[1:])
    is_whole = ends[-1] == cells.size
    content = np.ascontiguousarray(cells) if is_whole else cells[np.arange(cells.shape[1]) < sizes[:, None]]
    return pa.Array.from_buffers(pa.binary(), len(sizes), [None, pa.py_buffer(ends), pa.py_buffer(content)])


def _missing(values: pa.Array) -> np.ndarray:
    return values.is_null().to_numpy(zero_copy_only=False)
