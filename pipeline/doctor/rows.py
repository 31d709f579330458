"""The first rows of the data, taken as a run takes them: by ExampleGen's own reading and StatisticsGen's own counting."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.config import PipelineConfig
from pipeline.data_config import SIDES, BigQueryData, Side
from pipeline.errors import ConfigError, DataError
from pipeline.ingest.ingesting import IngestReport, ingest
from pipeline.ingest.settings import ingest_settings
from pipeline.ingest.tfrecords import Writer, sharded_writer
from pipeline.local.preflight import data_files

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2


@dataclass(frozen=True)
class Rows:
    """What came of the first rows.

    Attributes:
      num_rows: that were looked at, unusable ones included.
      is_all: there are no more.
      report: ExampleGen's; None if it would have failed.
      error: why it would have failed.
      statistics: {split: of its rows}; empty without a schema to compare with, or after an error.
    """

    num_rows: int
    is_all: bool
    report: IngestReport | None = None
    error: str | None = None
    statistics: Mapping[Side, statistics_pb2.DatasetFeatureStatistics] = field(default_factory=dict)


def read_rows(config: PipelineConfig, max_rows: int) -> Rows:
    """Read, check, split and describe rows.

    Args:
      config: of files, not of a query.
      max_rows: about where to stop; what each column holds is found out from all rows, as in a run.

    Raises:
      ConfigError: there are no files, or it is a query.
    """
    if isinstance(config.data, BigQueryData):
        raise ConfigError("The rows of a query are known when its stage runs.")
    settings = ingest_settings(config.data, config.label, config.number_columns)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        counting = {side: _Counting(stack.enter_context(_writer(folder, side, max_rows))) for side in SIDES}
        quarantine = _Lines()
        report, error = None, None
        try:
            report = ingest(data_files(config.data), settings, counting, quarantine, max_rows)
        except DataError as caught:
            error = str(caught)
        stack.close()  # the files are whole only now
        num_rows = sum(writer.num_rows for writer in counting.values()) + quarantine.num_lines
        described = _describe(folder) if report and config.schema_file else {}
    return Rows(num_rows, num_rows < max_rows, report, error, described)


def _writer(folder: str, side: Side, max_rows: int) -> contextlib.AbstractContextManager[Writer]:
    os.mkdir(os.path.join(folder, side))
    return sharded_writer(os.path.join(folder, side), lambda path: open(path, "wb"), max_rows)


def _describe(folder: str) -> dict[Side, statistics_pb2.DatasetFeatureStatistics]:
    from pipeline.columnar.statistics import statistics  # takes seconds

    return {side: statistics(glob.glob(os.path.join(glob.escape(folder), side, "*"))).datasets[0] for side in SIDES}


@dataclass
class _Counting:
    """Counts the rows on their way."""

    writer: Writer
    num_rows: int = 0

    def write(self, framed: pa.BinaryArray) -> None:
        self.num_rows += len(framed)
        self.writer.write(framed)


@dataclass
class _Lines:
    """Counts lines of the quarantine."""

    num_lines: int = 0

    def write(self, text: str) -> None:
        self.num_lines += text.count("\n")
