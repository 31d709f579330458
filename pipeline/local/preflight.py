"""What can be known of the data before anything runs."""

from __future__ import annotations

import difflib
import glob
import os

from pipeline.config import PipelineConfig
from pipeline.errors import ConfigError, DataError
from pipeline.ingest.csv_blocks import read_blocks, read_header
from pipeline.ingest.source import base_and_pattern, list_files, resolve_package
from preprocessing.features import Crossed, column_of


def check_data(config: PipelineConfig) -> None:
    """Look at the files and their headers.

    Raises:
      ConfigError: no such files, an empty one, or columns that the config names and the data lacks.
    """
    path = resolve_package(config.data.path)
    base, pattern = base_and_pattern(path)
    files = list_files(base, pattern)
    if not files:
        what = "matches no file" if glob.has_magic(path) else "does not exist"
        raise ConfigError(f"data.path: {config.data.path} {what if not os.path.isdir(path) else 'holds no .csv file'}.")
    try:
        header = read_header(files[0])
        if not any(len(block.rows) or block.bad for block in read_blocks(files[0])):
            raise DataError(f"{files[0]} has a header line but no rows.")
    except DataError as error:
        raise ConfigError(f"data.path: {error}") from error
    _check_columns(config, header, config.data.path)


def _check_columns(config: PipelineConfig, header: list[str], path: str) -> None:
    missing = [column for column in config.columns if column not in header]
    if not missing:
        return
    lines = []
    for column in missing:
        near = difflib.get_close_matches(column, header, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        lines.append(f"{_used_by(config, column)}: column '{column}' is not in {path}.{hint}")
    raise ConfigError("\n".join([*lines, f"Its columns: {', '.join(header)}."]))


def _used_by(config: PipelineConfig, column: str) -> str:
    if column == config.label.column:
        return "label.column"
    for name, feature in config.features.items():
        if not isinstance(feature, Crossed) and column_of(name, feature) == column:
            return f"features.{name}"
    return "evaluation.slices"
