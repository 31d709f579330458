"""What statistics of TensorFlow Data Validation say of the columns of a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.drift.measuring import Known, Quantiles

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2


def known_of(statistics: statistics_pb2.DatasetFeatureStatistics) -> Mapping[str, Known]:
    """Return {column: what is known of it}."""
    return {_name(feature): _known(feature, int(statistics.num_examples)) for feature in statistics.features}


def _name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    return str(feature.path.step[0] if feature.path.step else feature.name)


def _known(feature: statistics_pb2.FeatureNameStatistics, num_examples: int) -> Known:
    kind = feature.WhichOneof("stats")
    present = int(getattr(feature, kind).common_stats.num_non_missing) if kind else 0
    missing = max(0, num_examples - present)  # rows of a block in which nobody has a value are not told of
    if not present:
        return Known(0, missing)
    if kind == "num_stats":
        return Known(present, missing, quantiles=_quantiles(feature.num_stats))
    return Known(present, missing, texts={b.label: b.sample_count for b in feature.string_stats.rank_histogram.buckets})


def _quantiles(stats: statistics_pb2.NumericStatistics) -> Quantiles | None:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    for histogram in stats.histograms:
        if histogram.type == statistics_pb2.Histogram.QUANTILES and histogram.buckets:
            counts = np.array([bucket.sample_count for bucket in histogram.buckets])
            edges = np.array([histogram.buckets[0].low_value, *(bucket.high_value for bucket in histogram.buckets)])
            return Quantiles(edges, np.concatenate([[0.0], np.cumsum(counts) / counts.sum()]))
    return None
