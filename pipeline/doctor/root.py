"""The root that runs have left: is its ML Metadata whole, and is somebody at it?"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.local.run_folder import METADATA_FILE
from pipeline.local.store import BACKUP_FILE

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_NUM_SHOWN = 3


def check_root(subject: Subject) -> Iterator[Finding]:
    """Look at the lock and the metadata of a root, if there is one; nothing in it is changed."""
    root = subject.place
    if not root.exists():
        yield ok("root", f"{root} does not exist yet: the first run makes it")
        return
    if not root.is_dir():
        yield problem("root", f"{root} is a file.", "Choose another --root: a folder.")
        return
    yield _look_at_lock(root)
    if (root / METADATA_FILE).exists():
        yield look_at_metadata(root / METADATA_FILE)
    else:
        yield ok("root", f"no runs in {root} yet")


def _look_at_lock(root: Path) -> Finding:
    from pipeline.local.lock import holder_pid

    holder = holder_pid(root)
    if holder is None:
        return ok("root", "no run is using it")
    if not _lives(holder):
        return warning(
            "root",
            f"{root} is held, but process {holder}, which took it, is gone: a process that it started still lives, or it is of "
            "another container.",
            f"Find who holds {root / '.lock'} with `lsof` or `fuser`, and end it; until then a run ends with exit code 4.",
        )
    return warning(
        "root",
        f"Process {holder} is running on {root}.",
        "Wait for it, stop it, or choose another --root; until then a run ends with exit code 4.",
    )


def _lives(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


def look_at_metadata(path: Path) -> Finding:
    """Have SQLite check a database, which is opened for reading only."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=1)) as store:
            complaints = [row[0] for row in store.execute(f"PRAGMA quick_check({_NUM_SHOWN})")]
            tables = {row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if complaints == ["ok"] and "Execution" in tables:
                num_executions = store.execute("SELECT COUNT(*) FROM Execution").fetchone()[0]
                return ok("root", f"{path} is whole: {num_executions} executions")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return warning("root", f"{path} is being written to: not checked.", "Look again when the run is over.")
        if "readonly" in str(error):
            # A journal of an interrupted write, which only a writer may undo.
            return warning(
                "root", f"{path} was interrupted while it was written: not checked.", "Run once: it undoes the rest."
            )
        return problem("root", f"{path} cannot be read: {error}.", f"Make it readable and writable: chmod u+rw {path}.")
    except sqlite3.DatabaseError as error:
        return _damaged(path, str(error))
    if complaints == ["ok"]:
        return _damaged(path, "it holds no ML Metadata")
    return _damaged(path, "; ".join(" ".join(complaint.split()) for complaint in complaints))


def _damaged(path: Path, what: str) -> Finding:
    return warning(
        "root",
        f"{path} is damaged: {what}.",
        f"Run: the copy of the last finished run, {BACKUP_FILE}, takes its place, and what ran since runs anew. "
        "Without a copy everything does; pushed models stay.",
    )
