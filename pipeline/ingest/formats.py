"""The formats that can be read: one reader each, all of the same shape."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ingest.blocks import Reader
from pipeline.ingest.csv_reader import CsvReader
from pipeline.ingest.parquet_reader import ParquetReader
from pipeline.ingest.tfrecord_reader import TFRecordReader

READERS: Mapping[str, type[Reader]] = {"csv": CsvReader, "parquet": ParquetReader, "tfrecord": TFRecordReader}
