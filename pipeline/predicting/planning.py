"""From what a user asks for to a plan, or to a sentence on why there is none, before anything heavy is imported."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Sequence

from pipeline.errors import ConfigError, DataError
from pipeline.ingest.source import COMPRESSIONS, FOLDER_PATTERNS, base_and_pattern, list_files, resolve_package
from pipeline.predicting.formats import EXTENSIONS, FORMATS
from pipeline.predicting.pushed import find_model
from pipeline.predicting.rows import Plan, outputs
from pipeline.predicting.tally import is_quarantine
from pipeline.remote import is_remote

STDOUT = "-"


def make_plan(model: str, rows: str, carried: Sequence[str] = (), kind: str | None = None) -> Plan:
    """Look at a model, and at the columns of files.

    Args:
      model: see pushed.find_model.
      rows: a file, a folder, a glob.
      carried: columns of the files for the output.
      kind: format of the files; default: what their names say.

    Raises:
      ConfigError: there is no such model or file, files lack columns, or their format is not known.
    """
    found = find_model(model)
    files, kind = find_files(rows, kind)
    carried = list(dict.fromkeys(carried))
    if taken := [name for name in carried if name in outputs(found)]:
        raise ConfigError(f"--keep {taken[0]}: the model's own output has that name. Rename the column in the files.")
    for file in files:
        _check_columns(file, kind, list(found.columns), carried)
    try:
        types = FORMATS[kind].carried_types(files, carried)
    except DataError as error:
        raise ConfigError(f"--keep: {error}") from error
    return Plan(found, kind, tuple(files), tuple(zip(carried, types, strict=True)))


def find_files(path: str, kind: str | None) -> tuple[list[str], str]:
    """Return the files that a path leads to, sorted, and their format.

    Raises:
      ConfigError: there are none, or their format is not known or not one.
    """
    path = resolve_package(path)
    if os.path.isdir(path):
        return _files_of_folder(path, kind)
    files = list_files(*base_and_pattern(path))
    if not files:
        raise ConfigError(f"--input: {path} {'matches no file' if set('*?[') & set(path) else 'does not exist'}.")
    if kind:
        return files, kind
    kinds = {extension_of(file): EXTENSIONS.get(extension_of(file)) for file in files}
    known = f"Expected {', '.join(EXTENSIONS)}, perhaps with {', '.join(COMPRESSIONS)}"
    if unknown := [extension for extension, found in kinds.items() if found is None]:
        raise ConfigError(f"--input: '{unknown[0]}' is no known extension ({path}). {known}; or name the --format.")
    if len(set(kinds.values())) > 1:
        raise ConfigError(f"--input: {path} matches files of several formats: {', '.join(sorted(kinds))}. Name files of one.")
    return files, str(next(iter(kinds.values())))


def _files_of_folder(path: str, kind: str | None) -> tuple[list[str], str]:
    found = {}
    for known in [kind] if kind else FORMATS:
        matches = (
            [file for file in list_files(path, pattern) if not is_quarantine(file)] for pattern in FOLDER_PATTERNS[known]
        )
        if files := next(filter(None, matches), None):
            found[known] = files
    if not found:
        wanted = [kind] if kind else list(FORMATS)
        raise ConfigError(
            f"--input: {path} holds no {' or '.join(FOLDER_PATTERNS[name][0].lstrip('*.') for name in wanted)} file."
        )
    if len(found) > 1:
        raise ConfigError(f"--input: {path} holds files of several formats: {', '.join(found)}. Name one with --format.")
    kind, files = found.popitem()
    return files, kind


def output_kind(output: str, files: Collection[str]) -> str:
    """Return the format of the output: what its name says, CSV on stdout.

    Raises:
      ConfigError: the name says nothing, the folder is not there, or the output is one of the input's files.
    """
    if output == STDOUT:
        return "csv"
    kind = EXTENSIONS.get(extension_of(output))
    if kind is None:
        raise ConfigError(
            f"--output: '{os.path.basename(output)}' does not say a format. Expected one of: {', '.join(EXTENSIONS)}."
        )
    if kind == "parquet" and os.path.splitext(output)[1] in COMPRESSIONS:
        raise ConfigError(f"--output: {output}: Parquet is compressed inside. Name it {os.path.splitext(output)[0]}.")
    folder = os.path.dirname(output) or "."
    if not is_remote(output) and not os.path.isdir(folder):
        raise ConfigError(f"--output: the folder {folder} does not exist.")
    if os.path.isdir(output):
        raise ConfigError(f"--output: {output} is a folder. Name a file.")
    if os.path.realpath(output) in map(os.path.realpath, files):
        raise ConfigError(f"--output: {output} is one of the files to read. Name another.")
    return kind


def extension_of(path: str) -> str:
    """Return the extension that tells the format: .csv of rows.csv.gz."""
    base, extension = os.path.splitext(path)
    return (os.path.splitext(base)[1] if extension in COMPRESSIONS else extension).lower()


def _check_columns(file: str, kind: str, read: Sequence[str], carried: Sequence[str]) -> None:
    try:
        columns = FORMATS[kind].columns(file, [*read, *carried])
    except DataError as error:
        raise ConfigError(f"--input: {error}") from error
    lines = [
        f"the model reads column '{name}', which is not in {file}.{_near(name, columns)}"
        for name in read
        if name not in columns
    ]
    lines += [
        f"--keep {name}: there is no such column in {file}.{_near(name, columns)}" for name in carried if name not in columns
    ]
    if lines:
        raise ConfigError("\n".join([*lines, f"Its columns: {', '.join(columns)}."]))


def _near(name: str, columns: Sequence[str]) -> str:
    folded = {column.casefold(): column for column in columns}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f" Did you mean '{folded[near[0]]}'?" if near else ""
