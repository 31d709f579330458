"""One run at a time on a root."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import RootLockedError

_FILE = ".lock"


@contextlib.contextmanager
def root_lock(root: Path) -> Iterator[None]:
    """Hold a root; the lock goes with the process, so a dead holder blocks nobody.

    Raises:
      RootLockedError: another process holds it.
    """
    with (root / _FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RootLockedError(
                f"Process {holder} is running on {root}. Wait for it, stop it, or choose another --root."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def lock_holder(root: Path) -> str | None:
    """Return the process id that whoever holds a root has left there, "unknown" without one; None if nobody holds it."""
    try:
        with (root / _FILE).open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go with the file
            except BlockingIOError:
                return file.read().strip() or "unknown"
    except FileNotFoundError:
        return None
    return None
