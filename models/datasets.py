"""Transformed TFRecords as tf.data: whole batches at once, every example once an epoch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from models import dealing, in_memory
from models.autograph import leave_alone
from preprocessing.features import EncodedFeature


@dataclass(frozen=True)
class ExampleSpec:
    """What a transformed example holds.

    Attributes:
      features: the model's inputs.
      label: transformed name of the label.
      label_dtype: tf.int64 for classes, tf.float32 for numbers.
    """

    features: tuple[EncodedFeature, ...]
    label: str
    label_dtype: tf.DType


class Examples(Protocol):
    """A split that batches can be made of."""

    @property
    def num_examples(self) -> int:
        """How many there are."""
        ...

    def dataset(self, batch_size: int, shuffle_seed: int | None = None, share: dealing.Share | None = None) -> tf.data.Dataset:
        """Return as many batches as are known, of ({name: int32 or float32 (batch, width)}, label (batch, 1)).

        Args:
          batch_size: examples per batch of all replicas; the last one may be smaller.
          shuffle_seed: shuffle anew every epoch, in an order that this seed fixes; None keeps the order of the files.
          share: give what a worker's replicas take of these batches in turn, with weights (part,): see models/dealing.py.
        """
        ...

    def sharding(self, num_workers: int) -> str:
        """Return how so many workers share the examples, in words."""
        ...


# Of the parsed tensors of a split that is kept in memory: two and a half million examples of 25 features.
MEMORY_BYTES = 256 * 2**20

_BLOCK, _SHUFFLED, _MOST_OPEN_FILES = 4096, 100_000, 16
# Workers read files of their own if none has so much more than its share: the others wait for it, but parse no others' records.
_UNEVEN = 0.05


def load(files: Sequence[str], spec: ExampleSpec, memory_bytes: int = MEMORY_BYTES) -> Examples:
    """Read transformed examples: into memory where they fit, in a stream where they do not.

    In memory they are parsed once and shuffled as a whole. A stream is read and parsed anew every epoch, files in an order
    that changes, and shuffled within 100,000 records.

    Args:
      files: TFRecord files, gzipped where they end in `.gz`.
      spec: what the examples hold.
      memory_bytes: what may be kept in memory.

    Raises:
      ValueError: no files, or gzipped and plain ones.
    """
    leave_alone()
    if not files:
        raise ValueError("No transformed examples to read: the list of files is empty.")
    if len({file.endswith(".gz") for file in files}) > 1:
        raise ValueError(f"Some files end in .gz and some do not: {sorted(files)}. Give files of one compression.")
    stream = _Stream(tuple(sorted(files)), spec)
    # What is much larger on disk than it may be in memory need not be tried: without names, records shrink to a tenth.
    shrinks_to = 1 / 2 if files[0].endswith(".gz") else 1 / 16
    if sum(tf.io.gfile.stat(file).length for file in files) * shrinks_to > memory_bytes:
        return stream
    return in_memory.load(stream.parsed(stream.records(), _BLOCK), memory_bytes) or stream


def read(files: Sequence[str], spec: ExampleSpec, batch_size: int, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Return `load(files, spec).dataset(batch_size, shuffle_seed)`."""
    return load(files, spec).dataset(batch_size, shuffle_seed)


@dataclass(frozen=True)
class _Stream:
    files: tuple[str, ...]
    spec: ExampleSpec

    @functools.cached_property
    def num_examples(self) -> int:
        # Reading without parsing takes a tenth of an epoch, and a loop of several steps must know how many there are.
        return int(self.records().batch(_BLOCK).reduce(np.int64(0), lambda number, block: number + tf.size(block, tf.int64)))

    def dataset(self, batch_size: int, shuffle_seed: int | None = None, share: dealing.Share | None = None) -> tf.data.Dataset:
        if share is None:
            num_batches = -(-self.num_examples // batch_size)
            parsed = self.parsed(self._shuffled(shuffle_seed), batch_size)
            return parsed.apply(tf.data.experimental.assert_cardinality(num_batches))
        if self._sharded_by_file(share.num_workers) and not share.whole_batches:
            return self._of_own_files(batch_size, shuffle_seed, share)
        batches = share.batches(self._shuffled(shuffle_seed).batch(batch_size), self.num_examples, batch_size)
        return share.counted(self._parse(share.cut(batches)), self.num_examples, batch_size)

    def sharding(self, num_workers: int) -> str:
        if self._sharded_by_file(num_workers):
            return f"by file, {len(self.files)} files"
        return f"by record, for {len(self.files)} file(s) cannot be dealt out evenly" if num_workers > 1 else "by record"

    def _sharded_by_file(self, num_workers: int) -> bool:
        """Return whether each worker reads only files of its own: where none would have much more to do than others."""
        if num_workers == 1 or len(self.files) < num_workers:
            return False
        most = max(sum(self._counts[worker::num_workers]) for worker in range(num_workers))
        return most * num_workers <= self.num_examples * (1 + _UNEVEN)

    @functools.cached_property
    def _counts(self) -> list[int]:
        return [_Stream((file,), self.spec).num_examples for file in self.files]

    def _of_own_files(self, batch_size: int, shuffle_seed: int | None, share: dealing.Share) -> tf.data.Dataset:
        """Return what the replicas of a worker take of its own files, with empty parts where others have more examples."""
        counts = [sum(self._counts[worker :: share.num_workers]) for worker in range(share.num_workers)]
        size = batch_size // share.num_workers
        num_steps = max(-(-count // size) for count in counts)
        totals = [sum(min(size, max(0, count - step * size)) for count in counts) for step in range(num_steps)]
        own = _Stream(self.files[share.worker :: share.num_workers], self.spec)
        none = tf.data.Dataset.from_tensors(tf.constant([], tf.string)).repeat(num_steps - -(-counts[share.worker] // size))
        batches = own._shuffled(shuffle_seed).batch(size).concatenate(none)
        parts = share.cut_own(batches, tf.data.Dataset.from_tensor_slices(tf.constant(totals, tf.int32)))
        return self._parse(parts).apply(tf.data.experimental.assert_cardinality(num_steps * share.replicas))

    def _shuffled(self, shuffle_seed: int | None) -> tf.data.Dataset:
        records = self.records(shuffle_seed)
        if shuffle_seed is None:
            return records
        return records.shuffle(_SHUFFLED, seed=shuffle_seed, reshuffle_each_iteration=True)

    def records(self, shuffle_seed: int | None = None) -> tf.data.Dataset:
        compression = "GZIP" if self.files[0].endswith(".gz") else None
        if shuffle_seed is None:
            return tf.data.TFRecordDataset(self.files, compression)
        names = tf.data.Dataset.from_tensor_slices(list(self.files))
        return names.shuffle(len(self.files), seed=shuffle_seed, reshuffle_each_iteration=True).interleave(
            lambda file: tf.data.TFRecordDataset(file, compression),
            cycle_length=min(len(self.files), _MOST_OPEN_FILES),
            block_length=32,  # a change of file for every record takes longer than reading it
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def parsed(self, records: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        return in_memory.sharded_by_example(self._parse(records.batch(batch_size)))

    def _parse(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        # Parsing a whole batch is vectorized.
        parsed = batches.map(_parser(self.spec), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return parsed.prefetch(tf.data.AUTOTUNE)


def serialized(files: Sequence[str], batch_size: int) -> tf.data.Dataset:
    """Read records as they are, in an order that is the same every time: batches of string (batch,)."""
    compression = "GZIP" if files and files[0].endswith(".gz") else None
    return tf.data.TFRecordDataset(sorted(files), compression_type=compression).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _parser(spec: ExampleSpec):
    parsed = {f.name: tf.io.FixedLenFeature([f.width], tf.int64 if f.num_ids else tf.float32) for f in spec.features}
    parsed[spec.label] = tf.io.FixedLenFeature([1], spec.label_dtype)

    def parse(records: tf.Tensor, *weights: tf.Tensor) -> tuple:
        tensors = tf.io.parse_example(records, parsed)
        label = tensors.pop(spec.label)
        return {name: tf.cast(x, tf.int32) if x.dtype == tf.int64 else x for name, x in tensors.items()}, label, *weights

    return parse


def label_moments(dataset: tf.data.Dataset) -> tuple[float, float]:
    """Return mean and standard deviation of the label in one pass; the deviation is 1 where the label is constant."""
    count, total, squares = 0, 0.0, 0.0
    for _, label in dataset.as_numpy_iterator():
        values = label.astype(np.float64)
        count, total, squares = count + values.size, total + values.sum(), squares + np.square(values).sum()
    mean = total / count
    return mean, float(np.sqrt(max(squares / count - mean**2, 0.0))) or 1.0


def take(dataset: tf.data.Dataset, num_examples: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the first examples as arrays: {name: (n, width)} and label (n, 1), n <= num_examples."""
    batches, number = [], 0
    for batch in dataset.as_numpy_iterator():
        batches.append(batch)
        number += len(batch[1])
        if number >= num_examples:
            break
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts)[:num_examples], *batches)
