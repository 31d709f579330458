"""Transformed TFRecords as tf.data: whole batches are parsed at once, every example comes once an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

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


def read(files: Sequence[str], spec: ExampleSpec, batch_size: int, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Read transformed examples.

    Args:
      files: TFRecord files, gzipped where they end in `.gz`.
      spec: what the examples hold.
      batch_size: examples per batch; the last one may be smaller.
      shuffle_seed: shuffle anew every epoch, in an order that this seed fixes; None keeps the order of the files.

    Returns:
      Batches of ({name: int32 or float32 (batch, width)}, label (batch, 1)).

    Raises:
      ValueError: no files, or gzipped and plain ones.
    """
    if not files:
        raise ValueError("No transformed examples to read: the list of files is empty.")
    if len({file.endswith(".gz") for file in files}) > 1:
        raise ValueError(f"Some files end in .gz and some do not: {sorted(files)}. Give files of one compression.")
    # Records are cached and shuffled as the short strings they are; parsing a whole batch is vectorized.
    records = tf.data.Dataset.from_tensor_slices(sorted(files)).interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type="GZIP" if files[0].endswith(".gz") else None),
        cycle_length=len(files),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    records = records.cache()
    if shuffle_seed is not None:
        records = records.shuffle(100_000, seed=shuffle_seed, reshuffle_each_iteration=True)
    batches = records.batch(batch_size).map(_parser(spec), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


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
    inputs, labels = zip(*dataset.unbatch().batch(num_examples).take(1).as_numpy_iterator(), strict=True)
    return inputs[0], labels[0]
