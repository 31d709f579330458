"""What a check found, and what cures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]

# `make setup` alone does nothing where .venv looks up to date; -B makes it compare every package with the lock file.
REPAIR = "Run `make -B setup`: it installs every package as locked, and removes what does not belong."
# For a package whose version is right and whose files are not.
REINSTALL = "Run `rm -rf .venv && make setup`: it installs every package anew."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
      check: whose finding it is.
      state: a run will work as far as this goes; may not; will not.
      found: what was seen.
      cure: what to do about it; empty where all is well.
    """

    check: str
    state: State
    found: str
    cure: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a finding that needs no cure."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, cure: str) -> Finding:
    """Return a finding that a run may get over."""
    return Finding(check, "warning", found, cure)


def problem(check: str, found: str, cure: str) -> Finding:
    """Return a finding that no run gets over."""
    return Finding(check, "problem", found, cure)
