"""Keeps library chatter off the screen: file descriptors 1 and 2 go to the log, the screen keeps a copy of its own."""

from __future__ import annotations

import contextlib
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


@contextlib.contextmanager
def redirected_output() -> Iterator[RedirectedOutput]:
    """Send descriptors 1 and 2 to a scratch file, until `log_to` names a better one; restore them in the end."""
    _flush()
    saved = os.dup(1), os.dup(2)
    with (
        os.fdopen(os.dup(1), "w", buffering=1) as screen,
        os.fdopen(os.dup(2), "w", buffering=1) as errors,
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
