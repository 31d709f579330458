"""Which pushed models were taken back by a rollback. They are known by content, whatever becomes of ML Metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.json_text import write_durably

_FILE = "withdrawn.json"


@dataclass(frozen=True)
class Withdrawal:
    """A model that must not be pushed again.

    Attributes:
      digest: of the pushed SavedModel, as pipeline.versions.model_digest gives it.
      version: that it was pushed as.
      at: ISO 8601, UTC.
      reason: of whoever rolled back; may be empty.
      pending: the version before is not back yet: a rollback was interrupted.
    """

    digest: str
    version: int
    at: str
    reason: str
    pending: bool = False


def read_withdrawn(pushed: Path) -> tuple[Withdrawal, ...]:
    """Return all withdrawals of a folder of pushed models, oldest first.

    Raises:
      ConfigError: the file that lists them is damaged.
    """
    file = pushed / _FILE
    try:
        return tuple(Withdrawal(**values) for values in json.loads(file.read_text("utf-8"))) if file.exists() else ()
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{file} is damaged: {error}. Mend it, or remove it: withdrawn models may then be pushed again."
        ) from error


def write_withdrawn(pushed: Path, withdrawn: tuple[Withdrawal, ...]) -> None:
    """Write all withdrawals, in one rename."""
    write_durably(pushed / _FILE, json.dumps([asdict(withdrawal) for withdrawal in withdrawn], indent=1))
