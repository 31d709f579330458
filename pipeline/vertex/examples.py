"""Raw rows as an endpoint takes them: serialized tf.Examples, Base64 in JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.ingest.encoding import encode
from pipeline.predicting.pushed import ColumnType, PushedModel
from pipeline.predicting.values import from_json

# The name of the only input of `serving_default`.
INPUT = "examples"
_MAX_ROWS = 100
_NEUTRAL: Mapping[ColumnType, Any] = {"text": "", "integer": 0, "number": 0.0}


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, an object a line.

    Raises:
      ConfigError: it is not there, or not that, or has no rows or more than one request should carry.
    """
    try:
        lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--checks: {file} cannot be read: {error}. Expected JSON lines: an object of raw columns a line."
        ) from error
    if not rows or len(rows) > _MAX_ROWS or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(
            f'--checks: {file} has {len(rows)} lines. Expected 1 to {_MAX_ROWS}, each an object such as {{"fare": 12.5}}.'
        )
    return rows


def neutral_rows(model: PushedModel) -> list[dict[str, Any]]:
    """Return two rows to ask any model for: one of zeros and empty texts, and one of nothing but what it requires."""
    full = {name: _NEUTRAL[column.type] for name, column in model.columns.items()}
    return [{name: value for name, value in full.items() if model.columns[name].required}, full]


def columns_of(rows: Sequence[Mapping[str, Any]], model: PushedModel) -> dict[str, pa.Array]:
    """Return {raw column: (rows,)} as the model was trained on them.

    Raises:
      ConfigError: a value cannot be what the model reads, or a required one is missing.
    """
    columns: dict[str, pa.Array] = {}
    for name, column in sorted(model.columns.items()):
        values, unusable = from_json([row.get(name) for row in rows], column.type)
        if unusable:
            at, what = min(unusable.items())
            raise ConfigError(f"--checks: row {at + 1}: {name}: {what}. The model reads {column.type}s there.")
        if column.required and values.null_count:
            raise ConfigError(f"--checks: a row has no {name}, which the model requires. Add it.")
        columns[name] = values
    return columns


def instances_of(columns: Mapping[str, pa.Array]) -> list[dict[str, Any]]:
    """Return one instance a row."""
    return [{INPUT: {"b64": base64.b64encode(record).decode()}} for record in encode(columns).to_pylist()]
