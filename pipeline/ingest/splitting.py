"""Which split a row goes to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from pipeline.ingest import columns
from pipeline.ingest.blocks import Rows


def by_hash(rows: Rows, weights: Mapping[str, int]) -> np.ndarray:
    """Choose by the hash of a row's content alone: it never changes side, wherever it stands and whatever is added.

    Args:
      rows: of any block.
      weights: {split: weight}; a split gets about weight / sum of the rows.

    Returns:
      int64 (rows,), the position of the split among the weights.
    """
    hashed = hashlib.blake2b
    digests = b"".join([hashed(content, digest_size=8).digest() for content in columns.joined(rows.content)])
    buckets = np.frombuffer(digests, "<u8") % np.uint64(sum(weights.values()))
    return np.searchsorted(np.cumsum(list(weights.values())).astype(np.uint64), buckets, side="right")
