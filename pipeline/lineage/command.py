"""`runner_local.py lineage`: finds the root, reads, prints."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from pipeline import exit_codes, lean_imports
from pipeline.errors import PipelineError
from pipeline.json_text import to_json, to_json_line
from pipeline.local.which_root import chosen_root

if TYPE_CHECKING:  # imports TFX
    from pipeline.lineage.record import Lineage

Format: TypeAlias = Literal["tree", "json", "openlineage"]


@dataclass(frozen=True)
class LineageOptions:
    """What `runner_local.py lineage` was asked for."""

    root: Path | None
    config: Path | None
    model: str | None = None
    format: Format = "tree"
    output: Path | None = None


def show(options: LineageOptions) -> int:
    """Print or write the lineage of a model.

    Returns:
      The exit code: 0, or 2 when there is no answer.
    """
    lean_imports.install()
    from pipeline.lineage.reading import read_lineage

    try:
        root = chosen_root(options.root, options.config).resolve()
        lineage, note = read_lineage(root, options.model)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    if note:
        print(note, file=sys.stderr)
    if options.output is None:
        _print(lineage, root, options.format, sys.stdout)
        return exit_codes.OK
    try:
        with options.output.open("w", encoding="utf-8") as file:
            _print(lineage, root, options.format, file)
    except OSError as error:
        print(f"--output {options.output} cannot be written: {error.strerror}.", file=sys.stderr)
        return exit_codes.USAGE
    return exit_codes.OK


def _print(lineage: Lineage, root: Path, form: Format, stream: TextIO) -> None:
    if form == "json":
        stream.write(to_json(lineage.to_dict()) + "\n")
    elif form == "openlineage":
        from pipeline.lineage.open_lineage import run_events

        stream.writelines(to_json_line(event) for event in run_events(lineage, root))
    else:
        from rich.console import Console

        from pipeline.lineage.tree import WIDTH, to_tree

        console = Console(file=stream, highlight=False)
        console.width = min(console.width, WIDTH) if stream.isatty() else WIDTH
        console.print(to_tree(lineage))
