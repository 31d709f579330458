"""The SQLite file of ML Metadata: found damaged before anything is built on it, and put back from a copy."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.local.run_folder import ARTIFACTS_FOLDER, METADATA_FILE

if TYPE_CHECKING:
    from ml_metadata.metadata_store import MetadataStore

BACKUP_FILE = "metadata.backup.db"


class DatabaseLockedError(PipelineError):
    """Somebody else is at ML Metadata's database."""


def restore_if_damaged(root: Path, label: str) -> str | None:
    """Put the copy of the last finished run in the place of a database that cannot be read, or is gone.

    Without a copy nothing is known of the artifacts: they are set aside with the database, and everything runs anew.
    Pushed models stay where they are.

    Args:
      root: of the pipeline; nobody else may be using it.
      label: goes into the names of what is set aside.

    Returns:
      What was done, for the user; None when there was nothing to do.
    """
    database, backup, artifacts = root / METADATA_FILE, root / BACKUP_FILE, root / ARTIFACTS_FOLDER
    if is_sound(database) or not (database.exists() or artifacts.exists()):
        return None
    aside = f"damaged-{label}"
    for file in (database, root / f"{METADATA_FILE}-journal"):  # a journal belongs to the file that it was written for
        if file.exists():
            file.rename(file.with_name(f"{file.name}.{aside}"))
    if is_sound(backup):
        _copy(backup, database)
        said = "the copy of the last finished run takes its place; what ran after that runs anew."
    else:
        if artifacts.exists():
            artifacts.rename(artifacts.with_name(f"{ARTIFACTS_FOLDER}.{aside}"))
        said = "there is no copy of it, so everything runs anew."
    return f"{METADATA_FILE} was damaged or missing: {said} What is set aside is called *.{aside}; `gc` removes it."


def open_store(root: Path) -> MetadataStore:
    """Open ML Metadata of a root, for reading and writing."""
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(root / METADATA_FILE)
    return MetadataStore(config)


def back_up(root: Path) -> None:
    """Copy the database for `restore_if_damaged`, in one rename.

    Raises:
      OSError: the copy could not be written.
    """
    try:
        _copy(root / METADATA_FILE, root / BACKUP_FILE)
    except sqlite3.Error as error:
        raise OSError(f"{METADATA_FILE} could not be copied: {error}") from error


def is_sound(database: Path) -> bool:
    """Tell whether SQLite can read a file and ML Metadata has been in it; a crash in the midst of writing is made good.

    Raises:
      DatabaseLockedError: another program is writing to it, so nobody knows.
    """
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name IN ('Execution', 'MLMDEnv')").fetchall()
            return len(tables) == 2 and connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise DatabaseLockedError(f"{database} is locked by another program. Let it finish, then run again.") from error
        return False


def _copy(source: Path, target: Path) -> None:
    scratch = target.with_name(f".{target.name}")
    scratch.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(scratch)) as new:
            old.backup(new)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)  # half a copy would only take space
