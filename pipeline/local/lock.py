"""One run at a time on a root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

import psutil

from pipeline.errors import ConfigError, RootLockedError

LOCK_FILE = ".lock"
# Held, in common, by the processes of stages: they may outlive a runner that was killed, for a moment.
STAGES_LOCK_FILE = ".lock-stages"
_STAGES_END_SECONDS, _LOOK_SECONDS = 30.0, 0.05


def make_root(root: Path) -> None:
    """Make a root, with the file of its lock.

    Raises:
      ConfigError: it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / LOCK_FILE).touch()
    except OSError as error:
        raise ConfigError(f"--root {root} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def root_lock(root: Path) -> Iterator[None]:
    """Hold a root; the lock goes with the process, so a dead holder blocks nobody.

    Waits for the stages of a holder that was killed, which the kernel is about to end.

    Raises:
      RootLockedError: another process holds it.
    """
    with (root / LOCK_FILE).open("a+") as file:
        if not _take(file):
            file.seek(0)
            holder = file.read().strip() or "Another process"
            raise RootLockedError(f"{holder} is running on {root}. Wait for it, stop it, or choose another --root.")
        _wait_for_stages(root)
        file.truncate(0)
        file.write(f"Process {os.getpid()} (since {datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ})")
        file.flush()
        yield


def hold_with_other_stages(path: str) -> None:
    """Hold the stages' lock until this process ends.

    Args:
      path: of the lock.

    Raises:
      RootLockedError: the run that this stage is of has been taken over.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RootLockedError("Another run has taken over the root that this stage was to write to.") from None


def holder_pid(root: Path) -> int | None:
    """Return the process that holds a root, None when none does."""
    path = root / LOCK_FILE
    if not path.exists():
        return None
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return next((int(word) for word in file.read().split() if word.isdigit()), 0)
    return None


def _wait_for_stages(root: Path) -> None:
    with (root / STAGES_LOCK_FILE).open("a+") as file:
        deadline = time.monotonic() + _STAGES_END_SECONDS
        while not _take(file):
            if time.monotonic() > deadline:
                left = _processes_with(root / STAGES_LOCK_FILE)
                raise RootLockedError(f"Stages of an earlier run still work on {root}{left}. End them, then run again.")
            time.sleep(_LOOK_SECONDS)


def _take(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _processes_with(path: Path) -> str:
    """Return " (process 17, 18)" for those that have a file open, as far as this user may see."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(file.path == str(path) for file in process.open_files()):
                found.append(str(process.pid))
    return f" (process {', '.join(found)})" if found else ""
