"""StatisticsGen without Beam: TFDV's own generators, fed block by block, in a process that has no TensorFlow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.ingest.tfrecord_blocks import read_records
from pipeline.ingest.threads import in_order

BATCH_SIZE = 8192


def statistics(files: Sequence[str]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Describe every column of TFRecord files of tf.Example, in one pass whose memory does not grow with the rows.

    Counts of values and the most frequent ones come from TFDV's sketches: exact up to 16,384 different values of a column,
    estimates beyond.

    Raises:
      DataError: a file is damaged.
    """
    generators = stats_impl.get_generators(StatsOptions(), in_memory=True)
    accumulators = [generator.create_accumulator() for generator in generators]
    for block in in_order(_decoded, _batches(files)):
        accumulators = [g.add_input(a, block) for g, a in zip(generators, accumulators, strict=True)]
    return stats_impl.extract_statistics_output(accumulators, generators)


def _decoded(records: list[bytes]) -> pa.RecordBatch:
    return ExamplesToRecordBatchDecoder().DecodeBatch(records)  # without Python's lock


def _batches(files: Sequence[str]) -> Iterator[list[bytes]]:
    records = itertools.chain.from_iterable(map(read_records, sorted(files)))
    while batch := list(itertools.islice(records, BATCH_SIZE)):
        yield batch
