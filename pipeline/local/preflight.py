"""What can be known of the data before anything runs."""

from __future__ import annotations

import difflib
import glob
import os

from pipeline.config import PipelineConfig
from pipeline.data_config import BigQueryData, ColumnSplit, FileData, TimeSplit
from pipeline.errors import ConfigError, DataError
from pipeline.ingest.formats import READERS
from pipeline.ingest.source import FOLDER_PATTERNS, base_and_pattern, list_files, resolve_package
from pipeline.ingest.spans import resolve_span
from preprocessing.features import Crossed, column_of

# What a CSV file is written with where commas are decimal points.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def check_data(config: PipelineConfig) -> None:
    """Look at the files and their columns. A query is not run: what it returns is known when its stage runs.

    Raises:
      ConfigError: no such files, an empty one, or columns that the config names and the data lacks.
    """
    if isinstance(config.data, BigQueryData):
        return
    try:
        files = data_files(config.data)
        columns = READERS[config.data.kind].column_names(files, _wanted(config))
    except DataError as error:
        raise ConfigError(f"data.path: {error}") from error
    _check_columns(config, columns, config.data.path)


def data_files(data: FileData) -> list[str]:
    """Return the files that a run will read, of the span that is asked for.

    Raises:
      ConfigError: there are none.
      DataError: the span cannot be told.
    """
    path = resolve_package(data.path)
    base, pattern = base_and_pattern(path, data.kind)
    if files := list_files(base, resolve_span(base, pattern, data.span).pattern):
        return files
    if os.path.isdir(path):
        raise ConfigError(f"data.path: {data.path} holds no {FOLDER_PATTERNS[data.kind][0].lstrip('*')} file.")
    raise ConfigError(f"data.path: {data.path} {'matches no file' if glob.has_magic(path) else 'does not exist'}.")


def _check_columns(config: PipelineConfig, header: list[str], path: str) -> None:
    missing = [column for column in _wanted(config) if column not in header]
    if not missing:
        return
    lines = []
    for column in missing:
        near = difflib.get_close_matches(column, header, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        lines.append(f"{_used_by(config, column)}: column '{column}' is not in {path}.{hint}")
    lines.append(f"Its columns: {', '.join(header)}.")
    if separator := next((name for mark, name in _OTHER_SEPARATORS.items() if len(header) == 1 and mark in header[0]), None):
        lines.append(f"Are they separated by {separator}? Save the file with commas.")
    raise ConfigError("\n".join(lines))


def _wanted(config: PipelineConfig) -> list[str]:
    wanted = config.columns
    if isinstance(split := getattr(config.data, "split", None), (ColumnSplit, TimeSplit)) and split.column not in wanted:
        wanted = [*wanted, split.column]
    return wanted


def _used_by(config: PipelineConfig, column: str) -> str:
    if column == config.label.column:
        return "label.column"
    for name, feature in config.features.items():
        if not isinstance(feature, Crossed) and column_of(name, feature) == column:
            return f"features.{name}"
    is_sliced = any(column in columns for columns in config.evaluation.slices)
    return "evaluation.slices" if is_sliced else "data.split.column"
