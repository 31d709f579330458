"""Small files, and ingesting them, for every format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from ingested_csv import Records, Row

from pipeline.ingest.ingesting import IngestReport, ingest
from pipeline.ingest.settings import IngestSettings


@dataclass(frozen=True)
class Ingested:
    """What came of it."""

    report: IngestReport
    records: Mapping[str, Sequence[bytes]]
    quarantine: Sequence[Mapping[str, Any]]

    @property
    def rows(self) -> dict[str, list[Row]]:
        """{split: decoded rows}."""
        return {side: [decoded(record) for record in records] for side, records in self.records.items()}

    @property
    def all_rows(self) -> list[Row]:
        return [row for rows in self.rows.values() for row in rows]

    @property
    def reasons(self) -> dict[int, str]:
        """{row: why it is in quarantine}."""
        return {row["row"]: row["reason"] for row in self.quarantine}


def decoded(record: bytes) -> Row:
    """Return {column: value}, a list where there are several, without the columns that have none."""
    row = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is not None and (values := list(getattr(feature, kind).value)):
            row[name] = values[0] if len(values) == 1 else values
    return row


@pytest.fixture
def ingest_files(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest files of a kind; the label is column `y`, binary unless told."""

    def run(kind: str, *files: str | Path, **options: Any) -> Ingested:
        values = {
            "kind": kind,
            "label": {"kind": "binary", "column": "y"},
            "number_columns": {},
            "split": {"train": 2, "eval": 1},
            "max_bad_rows": 0.0,
            "rows_per_shard": 100,
        }
        settings = IngestSettings.model_validate(values | options)
        writers = {"train": Records(), "eval": Records()}
        path = tmp_path / "quarantine.jsonl"
        with path.open("w") as quarantine:
            report = ingest([str(file) for file in files], settings, writers, quarantine)
        return Ingested(report, writers, [json.loads(line) for line in path.read_text().splitlines()])

    return run


@pytest.fixture
def csv_file(tmp_path: Path):
    """Write bytes to a file and return its path."""

    def write(content: bytes) -> str:
        path = tmp_path / "data.csv"
        path.write_bytes(content)
        return str(path)

    return write
