"""What became of a stage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ran", "reused", "failed", "skipped", "not_reached"]


@dataclass(frozen=True)
class StageResult:
    """What became of a stage.

    Attributes:
      id: as in the pipeline.
      state: what became of it.
      seconds: that it worked; the first ones wait besides for TensorFlow to load, which is nothing of theirs.
      error: the innermost cause.
      execution_id: ML Metadata's, None when there is none.
    """

    id: str
    state: State
    seconds: float = 0.0
    error: str | None = None
    execution_id: int | None = None

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["execution_id"]
        return values | {"seconds": round(self.seconds, 2)}
