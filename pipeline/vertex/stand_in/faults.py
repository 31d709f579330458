"""Errors as Google's APIs answer them, and those that a test wishes for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class RefusedError(Exception):
    """A request that the service does not do."""

    def __init__(self, code: int, message: str, reason: str = "", metadata: dict[str, str] | None = None):
        """Refuse.

        Args:
          code: HTTP status.
          message: for people.
          reason: of google.rpc.ErrorInfo.
          metadata: of the same.
        """
        super().__init__(message)
        self.code, self.message, self.reason, self.metadata = code, message, reason, metadata or {}
        self.retry_after: int | None = None  # seconds, for the header of that name

    def body(self) -> dict[str, Any]:
        """Return the answer's body."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": _STATUSES.get(self.code, "UNKNOWN")}
        if self.reason:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.reason, "domain": "googleapis.com"}
            error["details"] = [info | {"metadata": self.metadata}]
        return {"error": error}


@dataclass
class Fault:
    """A refusal to come.

    Attributes:
      method: of the API, such as "CreatePipelineJob", as a regular expression.
      error: what is answered.
      times: how often.
    """

    method: str
    error: RefusedError
    times: int = 1


@dataclass
class Faults:
    """Refusals to come, in order."""

    pending: list[Fault] = field(default_factory=list)

    def take(self, method: str) -> Fault | None:
        """Return the fault that a call runs into, None for none."""
        for fault in self.pending:
            if fault.times > 0 and re.fullmatch(fault.method, method):
                fault.times -= 1
                return fault
        return None
