"""Gzipped TFRecord files."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

# Level 1: examples are read a few times and thrown away with the run, so time counts more than bytes.
OPTIONS = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


def write_shard(path: str, records: Iterable[bytes]) -> None:
    """Write serialized records to a `.gz` file."""
    with tf.io.TFRecordWriter(path, OPTIONS) as writer:
        for record in records:
            writer.write(record)
