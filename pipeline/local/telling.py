"""How a command ends that could not do what it was asked: with a sentence, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from pipeline import exit_codes
from pipeline.errors import ConfigError, PipelineError, RootLockedError
from pipeline.local.causes import cause_of


def exit_code(act: Callable[[], int], failures: tuple[type[Exception], ...] = (), errors: TextIO | None = None) -> int:
    """Do something; print what went wrong in one line.

    Args:
      act: returns the exit code.
      failures: errors of libraries that are failures too, besides those of the system and of this project.
      errors: where to print; default: standard error.

    Returns:
      What `act` returned, or the exit code of its error, as in the README.
    """
    expected: tuple[type[Exception], ...] = (PipelineError, OSError, *failures)
    try:
        return act()
    except expected as error:
        print(cause_of(error), file=errors or sys.stderr, flush=True)
        return code_of(error)


def code_of(error: Exception) -> int:
    """Return the exit code that stands for an error."""
    if isinstance(error, ConfigError):
        return exit_codes.USAGE
    return exit_codes.LOCKED if isinstance(error, RootLockedError) else exit_codes.FAILED
