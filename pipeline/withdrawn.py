"""Which pushed models were taken back by a rollback. They are known by content, whatever becomes of ML Metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "withdrawn.json"


@dataclass(frozen=True)
class Withdrawal:
    """A model that must not be pushed again.

    Attributes:
      digest: of the pushed SavedModel, as pipeline.publishing.content_digest gives it.
      version: that it was pushed as.
      at: ISO 8601, UTC.
      reason: of whoever rolled back; may be empty.
    """

    digest: str
    version: int
    at: str
    reason: str


def read_withdrawn(pushed: Path) -> tuple[Withdrawal, ...]:
    """Return all withdrawals of a folder of pushed models, oldest first."""
    file = pushed / _FILE
    return tuple(Withdrawal(**values) for values in json.loads(file.read_text("utf-8"))) if file.exists() else ()


def write_withdrawn(pushed: Path, withdrawn: tuple[Withdrawal, ...]) -> None:
    """Write all withdrawals, in one rename."""
    scratch = pushed / f".{_FILE}"
    scratch.write_text(json.dumps([asdict(withdrawal) for withdrawal in withdrawn], indent=1), "utf-8")
    scratch.replace(pushed / _FILE)
