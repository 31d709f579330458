"""Keeps library chatter off the screen: file descriptors 1 and 2 go to the log, the screen keeps a copy of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class RedirectedOutput:
    """While active, whatever Python or native code prints lands in a file; `screen` and `errors` still are the user's."""

    def __init__(self, screen: TextIO, errors: TextIO, early: TextIO):
        self.screen, self.errors = screen, errors
        self._early = early

    def log_to(self, path: Path) -> None:
        """Continue in a log file, beginning with what was printed so far."""
        _flush()
        self._early.seek(0)
        with path.open("a") as log:
            log.write(self._early.read())
            log.flush()
            _point_at(log.fileno())


class _Forgiving(io.TextIOWrapper):
    """A stream that loses what it cannot take: a reader that is gone, or a full disk, stops no run."""

    def __init__(self, descriptor: int):
        super().__init__(os.fdopen(descriptor, "wb"), errors="replace", line_buffering=True)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def redirected_output() -> Iterator[RedirectedOutput]:
    """Send descriptors 1 and 2 to a scratch file, until `log_to` names a better one; restore them in the end."""
    _flush()
    saved = os.dup(1), os.dup(2)
    with (
        _Forgiving(os.dup(1)) as screen,
        _Forgiving(os.dup(2)) as errors,
        tempfile.TemporaryFile("w+") as early,
    ):
        _point_at(early.fileno())
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s", stream=sys.stderr)
        try:
            yield RedirectedOutput(screen, errors, early)
        finally:
            _flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])


def _point_at(descriptor: int) -> None:
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _flush() -> None:
    with contextlib.suppress(OSError):  # on a full disk: what the log lacks stops no run
        sys.stdout.flush()
        sys.stderr.flush()
