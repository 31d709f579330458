"""Transformed TFRecords as tf.data: whole batches at once, every example once an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from models import in_memory
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


# Of the parsed tensors of a split that is kept in memory: two and a half million examples of 25 features.
MEMORY_BYTES = 256 * 2**20

_BLOCK, _SHUFFLED, _MOST_OPEN_FILES = 4096, 100_000, 16


def read(
    files: Sequence[str],
    spec: ExampleSpec,
    batch_size: int,
    shuffle_seed: int | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> tf.data.Dataset:
    """Read transformed examples: into memory where they fit, in a stream where they do not.

    In memory they are parsed once and shuffled as a whole. A stream is read and parsed anew every epoch, files in an order
    that changes, and shuffled within 100,000 records.

    Args:
      files: TFRecord files, gzipped where they end in `.gz`.
      spec: what the examples hold.
      batch_size: examples per batch; the last one may be smaller.
      shuffle_seed: shuffle anew every epoch, in an order that this seed fixes; None keeps the order of the files.
      memory_bytes: what may be kept in memory.

    Returns:
      Batches of ({name: int32 or float32 (batch, width)}, label (batch, 1)).

    Raises:
      ValueError: no files, or gzipped and plain ones.
    """
    if not files:
        raise ValueError("No transformed examples to read: the list of files is empty.")
    if len({file.endswith(".gz") for file in files}) > 1:
        raise ValueError(f"Some files end in .gz and some do not: {sorted(files)}. Give files of one compression.")
    # What is much larger on disk than it may be in memory need not be tried: without names, records shrink to a tenth.
    shrinks_to = 1 / 2 if files[0].endswith(".gz") else 1 / 16
    if sum(tf.io.gfile.stat(file).length for file in files) * shrinks_to <= memory_bytes:
        split = in_memory.load(_parsed(_records(files), spec, _BLOCK), memory_bytes)
        if split is not None:
            return _not_by_file(split.dataset(batch_size, shuffle_seed))
    records = _records(files, shuffle_seed)
    if shuffle_seed is not None:
        records = records.shuffle(_SHUFFLED, seed=shuffle_seed, reshuffle_each_iteration=True)
    return _not_by_file(_parsed(records, spec, batch_size))


def _records(files: Sequence[str], shuffle_seed: int | None = None) -> tf.data.Dataset:
    names = tf.data.Dataset.from_tensor_slices(sorted(files))
    if shuffle_seed is not None:
        names = names.shuffle(len(files), seed=shuffle_seed, reshuffle_each_iteration=True)
    return names.interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type="GZIP" if files[0].endswith(".gz") else None),
        cycle_length=min(len(files), _MOST_OPEN_FILES),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _parsed(records: tf.data.Dataset, spec: ExampleSpec, batch_size: int) -> tf.data.Dataset:
    # Parsing a whole batch is vectorized.
    batches = records.batch(batch_size).map(_parser(spec), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def _not_by_file(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Let several workers take turns at examples, whatever the number of files."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def serialized(files: Sequence[str], batch_size: int) -> tf.data.Dataset:
    """Read records as they are, in an order that is the same every time: batches of string (batch,)."""
    compression = "GZIP" if files and files[0].endswith(".gz") else None
    return tf.data.TFRecordDataset(sorted(files), compression_type=compression).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _parser(spec: ExampleSpec):
    parsed = {f.name: tf.io.FixedLenFeature([f.width], tf.int64 if f.num_ids else tf.float32) for f in spec.features}
    parsed[spec.label] = tf.io.FixedLenFeature([1], spec.label_dtype)

    def parse(records: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        tensors = tf.io.parse_example(records, parsed)
        label = tensors.pop(spec.label)
        return {name: tf.cast(x, tf.int32) if x.dtype == tf.int64 else x for name, x in tensors.items()}, label

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
