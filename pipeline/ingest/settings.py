"""What ExampleGen's worker must know of the config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pydantic

from pipeline.data_config import FileData, Split
from preprocessing.features import Label


class IngestSettings(pydantic.BaseModel):
    """The data section without its path, and what the model needs of the data."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    kind: Literal["csv", "parquet", "tfrecord"]
    label: Label
    number_columns: dict[str, str] = pydantic.Field(description="{column that must hold numbers: feature kind that reads it}")
    split: Split
    max_bad_rows: float = pydantic.Field(ge=0, lt=1, description="Share of unusable rows up to which they are set aside.")
    rows_per_shard: int = pydantic.Field(ge=1)


def ingest_settings(data: FileData, label: Label, numbers: Mapping[str, str]) -> IngestSettings:
    """Return what the data section and the model's needs come to; numbers are as in `IngestSettings.number_columns`."""
    return IngestSettings(
        kind=data.kind,
        label=label,
        number_columns=dict(numbers),
        split=data.split,
        max_bad_rows=data.max_bad_rows,
        rows_per_shard=data.rows_per_shard,
    )
