"""Ingest CSV given as text, and decode what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.ingest.ingesting import IngestReport, ingest
from pipeline.ingest.settings import IngestSettings
from preprocessing.features import BinaryLabel, Label, RegressionLabel

BINARY = BinaryLabel(kind="binary", column="y")
REGRESSION = RegressionLabel(kind="regression", column="y")
GOOD = "".join(f"{i},{i % 2}\n" for i in range(12))  # of columns x and y


class Records(list):
    """A writer that keeps the records."""

    def write(self, framed: pa.BinaryArray) -> None:
        self.extend(frame[12:-4] for frame in framed.to_pylist())


Row = Mapping[str, Any]


def run(
    *contents: str | bytes,
    folder: Path,
    label: Label = BINARY,
    numbers: Mapping[str, str] = {},
    max_bad_rows: float = 0.0,
    split: Mapping[str, int] = {"train": 2, "eval": 1},
) -> tuple[IngestReport, dict[str, list[Row]]]:
    """Ingest files and return the report and {split: decoded rows}."""
    files = []
    for i, content in enumerate(contents):
        path = folder / f"data-{i}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        files.append(str(path))
    writers = {"train": Records(), "eval": Records()}
    settings = IngestSettings(
        kind="csv", label=label, number_columns=dict(numbers), split=split, max_bad_rows=max_bad_rows, rows_per_shard=100
    )
    with (folder / "quarantine.jsonl").open("w") as quarantine:
        report = ingest(files, settings, writers, quarantine)
    return report, {name: [decoded(record) for record in records] for name, records in writers.items()}


def error_of(*contents: str | bytes, folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        run(*contents, folder=folder, **options)
    return str(caught.value)


def decoded(record: bytes) -> Row:
    """Return {column: value}, without the columns that have none."""
    row = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is not None and (values := list(getattr(feature, kind).value)):
            (row[name],) = values
    return row


def both(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for part in rows.values() for row in part]
