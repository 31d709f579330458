"""What ExampleGen's worker must know of the config."""

from __future__ import annotations

from typing import Literal

import pydantic

from pipeline.data_config import Split
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
