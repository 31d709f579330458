"""A split in memory: parsed once, shuffled by position, and cut into whole batches with a handful of operations each."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from models import dealing

_AHEAD = 4  # batches that are cut while others are computed with
_ALIGNMENT = 64  # bytes, of what TensorFlow's kernels take


@dataclass(frozen=True)
class Block:
    """Columns of one dtype, side by side.

    Attributes:
      names: of the features.
      widths: of each.
      values: (n, sum of the widths).
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Split:
    """All examples of a split, in arrays whose memory the tensors of its datasets share.

    Attributes:
      blocks: the features, one block for each dtype.
      labels: (n, 1).
    """

    blocks: tuple[Block, ...]
    labels: np.ndarray

    @property
    def num_examples(self) -> int:
        """How many there are."""
        return len(self.labels)

    def dataset(self, batch_size: int, shuffle_seed: int | None = None, share: dealing.Share | None = None) -> tf.data.Dataset:
        """Return batches of ({name: (batch, width)}, label (batch, 1)); the last one may be smaller.

        Args:
          batch_size: examples per batch.
          shuffle_seed: a new order every epoch, which this seed fixes; None keeps the order.
          share: give what a worker takes of them, each with its weights (part,).
        """
        number = self.num_examples
        if shuffle_seed is None:
            batches = tf.data.Dataset.range(number, output_type=tf.int32).batch(batch_size)
        else:
            # Batches are cut by `batch`, not as ranges, for tf.distribute to see how large they are. The seeds of the epochs:
            # iterating again goes on in their sequence, as `shuffle` does, which would need 200 bytes an example.
            seeds = tf.data.Dataset.random(shuffle_seed, rerandomize_each_iteration=True).take(1)
            batches = seeds.flat_map(lambda seed: tf.data.Dataset.from_tensor_slices(_order(number, seed)).batch(batch_size))
            batches = batches.apply(tf.data.experimental.assert_cardinality(-(-number // batch_size)))
        # There is nothing to tune, and measuring takes longer than cutting a batch.
        options = tf.data.Options()
        options.autotune.enabled = False
        if share:
            parts = share.cut(share.batches(batches, number, batch_size)).map(self._cutter())
            return share.counted(parts, number, batch_size).prefetch(_AHEAD).with_options(options)
        return sharded_by_example(batches.map(self._cutter()).prefetch(_AHEAD)).with_options(options)

    def sharding(self, num_workers: int) -> str:
        """Return how workers share the examples, in words."""
        return "by position, in memory"

    @functools.cached_property
    def _tensors(self) -> tuple[list[tf.Tensor], tf.Tensor]:
        with tf.device("/CPU:0"):
            return [_tensor(block.values) for block in self.blocks], _tensor(self.labels)

    def _cutter(self) -> Callable[..., tuple]:
        columns, labels = self._tensors

        def cut(positions: tf.Tensor, *weights: tf.Tensor) -> tuple:
            features: dict[str, tf.Tensor] = {}
            for block, values in zip(self.blocks, columns, strict=True):
                features.update(zip(block.names, tf.split(tf.gather(values, positions), block.widths, axis=1), strict=True))
            return features, tf.gather(labels, positions), *weights

        return cut


def _order(number: int, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_shuffle(tf.range(number), tf.stack([seed, seed]))


def sharded_by_example(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Let several workers take turns at examples, whatever the number of files."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def load(batches: tf.data.Dataset, max_bytes: int) -> Split | None:
    """Read a split into memory.

    Args:
      batches: ({name: (batch, width)}, label (batch, 1)), int32 or float32 each.
      max_bytes: of all tensors together.

    Returns:
      The split; None where it has more bytes, or no example.
    """
    kinds: dict[tf.DType, list[str]] = {}
    features, label = batches.element_spec
    for name, tensor in features.items():
        kinds.setdefault(tensor.dtype, []).append(name)
    widths = {name: int(tensor.shape[1]) for name, tensor in features.items()}
    columns = [(kind, sum(widths[name] for name in names)) for kind, names in kinds.items()] + [(label.dtype, 1)]
    max_examples = max_bytes // sum(kind.size * width for kind, width in columns)
    tables = [_table(max_examples, width, kind.as_numpy_dtype) for kind, width in columns]

    def side_by_side(features: dict[str, tf.Tensor], label: tf.Tensor) -> list[tf.Tensor]:
        return [tf.concat([features[name] for name in names], axis=1) for names in kinds.values()] + [label]

    number = 0
    for parts in batches.map(side_by_side, num_parallel_calls=tf.data.AUTOTUNE).prefetch(_AHEAD).as_numpy_iterator():
        start, number = number, number + len(parts[0])
        if number > max_examples:
            return None
        for table, part in zip(tables, parts, strict=True):
            table[start:number] = part
    if not number:
        return None
    blocks = [
        Block(tuple(names), tuple(widths[name] for name in names), table[:number])
        for names, table in zip(kinds.values(), tables, strict=False)
    ]
    return Split(tuple(blocks), tables[-1][:number])


def _table(num_rows: int, num_columns: int, dtype: type[np.generic]) -> np.ndarray:
    """Return an array of which only what is written to takes memory."""
    num_bytes = max(1, num_rows * num_columns * np.dtype(dtype).itemsize)
    pages = mmap.mmap(-1, num_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(pages, dtype, num_rows * num_columns).reshape(num_rows, num_columns)


def _tensor(values: np.ndarray) -> tf.Tensor:
    """Return a tensor that shares the memory of an array, or a copy where TensorFlow asks for another alignment."""
    if values.ctypes.data % _ALIGNMENT:
        return tf.constant(values)
    return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
