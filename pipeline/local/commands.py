"""What `runner_local.py gc` and `rollback` print, and their exit codes."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ml_metadata.errors import StatusError

from pipeline import exit_codes
from pipeline.errors import ConfigError
from pipeline.local.run_folder import PUSHED_FOLDER
from pipeline.local.telling import exit_code
from pipeline.local.which_root import existing_root

if TYPE_CHECKING:
    from pipeline.local.collecting import Plan


_OF_THE_DATABASE = (sqlite3.Error, StatusError)


@dataclass(frozen=True)
class GcOptions:
    """What `runner_local.py gc` was asked for."""

    root: Path | None
    config: Path | None
    keep_runs: int
    keep_pushed: int
    dry_run: bool


def gc(options: GcOptions) -> int:
    """Remove what is needed no more, or list it."""
    return exit_code(lambda: _collect(options), _OF_THE_DATABASE)


def rollback(root: Path | None, config: Path | None, version: int | None, reason: str) -> int:
    """Put back the version before, or a certain one."""
    return exit_code(lambda: _roll_back(existing_root(root, config), version, reason), _OF_THE_DATABASE)


def _lean() -> None:
    """Do without TensorFlow: these commands only move files and keep the books."""
    from pipeline import lean_imports

    lean_imports.install()
    lean_imports.orchestrating()
    from pipeline import local_files

    local_files.install()


def _collect(options: GcOptions) -> int:
    _lean()
    from pipeline.local.collecting import collect, plan
    from pipeline.local.lock import root_lock
    from pipeline.local.recovery import recover
    from pipeline.local.run_folder import METADATA_FILE
    from pipeline.local.store import back_up, is_sound, open_store

    root = existing_root(options.root, options.config)
    if not is_sound(root / METADATA_FILE):
        raise ConfigError(f"{root / METADATA_FILE} is damaged or missing. A run puts its copy back; run first, then collect.")
    with root_lock(root):
        store = open_store(root)
        if not options.dry_run:
            recover(store, root)
        chosen = plan(store, root, options.keep_runs, options.keep_pushed)
        _list(chosen, root, options.dry_run)
        if not options.dry_run:
            collect(store, chosen)
            back_up(root)
    return exit_codes.OK


def _list(chosen: Plan, root: Path, dry_run: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "number", "bytes", title=f"{'May go' if dry_run else 'Gone'}: {root}", title_justify="left")
    by_kind = sorted(chosen.garbage, key=lambda garbage: garbage.kind)
    for kind, group in groupby(by_kind, key=lambda garbage: garbage.kind):
        members = list(group)
        table.add_row(kind, f"{len(members):,}", f"{sum(garbage.size_bytes for garbage in members):,}")
    total = sum(garbage.size_bytes for garbage in chosen.garbage)
    table.add_row("in all", f"{len(chosen.garbage):,}", f"{total:,}")
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print(table)
    console.print(f"Kept: {len(chosen.kept_runs)} runs, the pushed versions and what they were made from.")
    if dry_run and total:
        console.print("Nothing was removed. Leave out --dry-run to remove it.")


def _roll_back(root: Path, version: int | None, reason: str) -> int:
    _lean()
    from pipeline.local.rolling_back import roll_back

    restored = roll_back(root, version, reason)
    for each in restored:
        folder = root / PUSHED_FOLDER / each.kind
        print(f"{each.kind}: version {each.source} is back as {folder / str(each.version)}; {each.withdrawn} is withdrawn.")
    if not any(each.kind == "edge" for each in restored) and (root / PUSHED_FOLDER / "edge").exists():
        print("edge: stays as it is: no older version, or the newest was not made from the withdrawn model.")
    print("The next run does not push the withdrawn model again. With other data, config or code it trains a new one.")
    return exit_codes.OK
