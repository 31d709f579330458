"""Retries: what Vertex AI does about a task that failed."""

from __future__ import annotations

from typing import Any

import pydantic


class Retries(pydantic.BaseModel):
    """How often a failed task is tried again, and after how long; gates are not, they would say the same."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    count: int = pydantic.Field(1, ge=0, le=10)
    first_after_seconds: int = pydantic.Field(60, ge=0)
    factor: float = pydantic.Field(2.0, ge=1)
    longest_seconds: int = pydantic.Field(3600, ge=0)

    def policy(self) -> dict[str, Any]:
        """Return the RetryPolicy of a task, {} for none."""
        if not self.count:
            return {}
        return {
            "maxRetryCount": self.count,
            "backoffDuration": f"{self.first_after_seconds}s",
            "backoffFactor": self.factor,
            "backoffMaxDuration": f"{self.longest_seconds}s",
        }
