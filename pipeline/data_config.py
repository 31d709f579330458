"""The `data:` section: where the rows are, how they are split, what is done with rows that cannot be used.

Light on purpose: reading a config must not take TensorFlow.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timezone
from typing import Annotated, Any, Literal, TypeAlias

import pydantic

from pipeline.ingest.spelling import spell_wanted


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


Side: TypeAlias = Literal["train", "eval"]
SIDES: tuple[Side, Side] = ("train", "eval")
Weights: TypeAlias = Annotated[dict[Side, pydantic.PositiveInt], pydantic.Field(min_length=2)]
_Value: TypeAlias = pydantic.StrictStr | pydantic.StrictInt | pydantic.StrictFloat


class ColumnSplit(_Section):
    """A row's side is what a column says."""

    by: Literal["column"]
    column: str = pydantic.Field(..., min_length=1)
    train: tuple[_Value, ...] = pydantic.Field(
        ..., min_length=1, description="Values of the column; `1`, `1.0` are one number."
    )
    eval: tuple[_Value, ...] = pydantic.Field(..., min_length=1, description="Values of the column.")

    @pydantic.model_validator(mode="after")
    def _disjoint(self) -> ColumnSplit:
        # As the rows are compared: to a column of text "1" and 1 are the same.
        train, evaluation = ([spell_wanted(value) for value in values] for values in (self.train, self.eval))
        if both := [value for value in train if value in evaluation]:
            raise ValueError(f"'{both[0]}' is named for train and for eval. Name each value once.")
        return self


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = pydantic.TypeAdapter(datetime)  # datetime.fromisoformat reads less, and not the same in every version of Python


def _number_or_time(value: Any) -> Any:
    """Read what YAML or JSON give: a number, a date, a time, or a text that is one of them."""
    found = _read(value.strip()) if isinstance(value, str) else value
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime.combine(found, time())
    if isinstance(found, datetime):
        return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found.astimezone(timezone.utc)
    # Neither NaN nor what no column can reach.
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not -1e300 < found < 1e300:
        shown = f"'{value}'" if isinstance(value, str) else repr(value)
        raise ValueError(f"expected a number or a time such as 2024-01-31T12:00:00Z, found {shown}.")
    return found


def _read(text: str) -> int | float | datetime | None:
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    try:
        return _TIME.validate_python(text)
    except pydantic.ValidationError:
        return None


class TimeSplit(_Section):
    """Rows from a point in time on are for evaluation, those before it for training."""

    by: Literal["time"]
    column: str = pydantic.Field(..., min_length=1, description="Holds numbers (such as seconds since 1970) or ISO 8601 times.")
    eval_from: Annotated[int | float | datetime, pydantic.BeforeValidator(_number_or_time)] = pydantic.Field(
        ..., description="The first value of the eval split, in the column's own unit; a time without a zone is UTC."
    )


def _by(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["by"]) if "by" in value else "weights"
    return value.by if isinstance(value, (ColumnSplit, TimeSplit)) else "weights"


Split: TypeAlias = Annotated[
    Annotated[Weights, pydantic.Tag("weights")]
    | Annotated[ColumnSplit, pydantic.Tag("column")]
    | Annotated[TimeSplit, pydantic.Tag("time")],
    pydantic.Discriminator(_by),
]
DEFAULT_WEIGHTS: dict[Side, int] = {"train": 2, "eval": 1}


class _Files(_Section):
    path: str = pydantic.Field(
        ...,
        min_length=1,
        description="A file, a folder, a glob, gs://..., or package://<package>/<file>. May hold {SPAN} or {YYYY}, {MM}, {DD}, "
        "and {VERSION}: see docs/data.md.",
    )
    span: int | None = pydantic.Field(None, ge=0, description="Which span to read; default: the newest.")
    split: Split = pydantic.Field(
        DEFAULT_WEIGHTS,
        description="Weights: a row's side is fixed by the hash of its content. Or {by: column, ...} or {by: time, ...}.",
    )
    max_bad_rows: float = pydantic.Field(
        0.001, ge=0, lt=1, description="Share of unusable rows up to which they are set aside, in quarantine.jsonl."
    )
    rows_per_shard: int = pydantic.Field(200_000, ge=1, description="Rows in a TFRecord file, at most.")

    @pydantic.model_validator(mode="after")
    def _span_has_a_place(self) -> _Files:
        if self.span is not None and not has_span(self.path):
            raise ValueError(
                "`span` is given, but `path` has no place for it. Put {SPAN}, or {YYYY}, {MM} and {DD}, into the path."
            )
        return self


class CsvData(_Files):
    """Comma-separated files (RFC 4180) with a header line; may be .gz, .bz2 or .zst."""

    kind: Literal["csv"] = "csv"


class ParquetData(_Files):
    """Parquet files of flat columns."""

    kind: Literal["parquet"]


class TFRecordData(_Files):
    """TFRecord files of tf.Example; may be .gz."""

    kind: Literal["tfrecord"]


def _weights_only(value: Any) -> Any:
    if _by(value) != "weights":
        raise ValueError(
            "BigQuery splits by weights only. Give both sides one, such as {train: 2, eval: 1}; to split by time or by column "
            "export the query to Parquet."
        )
    return value


class BigQueryData(_Section):
    """A query, run by TFX's BigQueryExampleGen."""

    kind: Literal["bigquery"]
    query: str = pydantic.Field(..., min_length=1, description="Standard SQL; every column it returns becomes a feature.")
    project: str | None = pydantic.Field(
        None, min_length=1, description="Which project pays; default: the runtime's, or gcloud's."
    )
    temp_location: str | None = pydantic.Field(
        None, pattern="^gs://", description="Where Beam puts the result for a while; default: the runtime's, if it has one."
    )
    split: Annotated[Weights, pydantic.BeforeValidator(_weights_only)] = pydantic.Field(
        DEFAULT_WEIGHTS, description="Weights; a row's side is fixed by the hash of its content."
    )


FileData: TypeAlias = CsvData | ParquetData | TFRecordData


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("kind", "csv"))
    return value.kind if isinstance(value, (CsvData, ParquetData, TFRecordData, BigQueryData)) else "csv"


Data: TypeAlias = Annotated[
    Annotated[CsvData, pydantic.Tag("csv")]
    | Annotated[ParquetData, pydantic.Tag("parquet")]
    | Annotated[TFRecordData, pydantic.Tag("tfrecord")]
    | Annotated[BigQueryData, pydantic.Tag("bigquery")],
    pydantic.Discriminator(_kind),
]


def has_span(path: str) -> bool:
    """Tell whether a path has a place for the number or the date of a span."""
    return any(place in path for place in ("{SPAN", "{YYYY}", "{MM}", "{DD}"))
