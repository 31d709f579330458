"""A part of the API: the calls that it answers, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any


class Part:
    """Answers some calls of the API. Thread-safe."""

    def __init__(self, calls: Mapping[str, Callable[[Any], Any]]):
        """Answer.

        Args:
          calls: {name, such as "DeployModel": gives the answer to a request}.
        """
        self._calls, self._lock = calls, threading.RLock()

    def knows(self, name: str) -> bool:
        """Tell whether a call is answered here."""
        return name in self._calls

    def answer(self, name: str, request: Any) -> Any:
        """Return the answer to a call.

        Raises:
          RefusedError: the call cannot be done.
        """
        with self._lock:
            return self._calls[name](request)
