"""Operations that take a while: begun by a call, asked for by their name until they are done."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.vertex.stand_in.faults import RefusedError

# The client asks by the console's own address, too.
ADDRESS = re.compile(r"/(?:v1|ui)/(projects/.+/operations/\d+)")


@dataclass
class _Running:
    method: str
    apply: Callable[[], Any]
    polls_left: int
    failure: tuple[int, str] | None
    result: Any = None


class Operations:
    """Does what was asked for when somebody has asked for it often enough. Thread-safe.

    Attributes:
      polls: an operation that begins now is done after so many questions.
    """

    def __init__(self) -> None:
        """Begin with none; each is done at once."""
        self.polls = 0
        self._failures: list[tuple[str, int, str]] = []
        self._running: dict[str, _Running] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def fail(self, method: str, code: int, message: str) -> None:
        """Have the next operation of a method, such as "DeployModel", end with a code of google.rpc."""
        self._failures.append((method, code, message))

    def begin(self, method: str, parent: str, apply: Callable[[], Any]) -> Any:
        """Begin one; return it as the API does.

        Args:
          method: that began it.
          parent: resource that it is about.
          apply: does it, and returns the API's message of the result.
        """
        with self._lock:
            failure = next((each for each in self._failures if each[0] == method), None)
            if failure:
                self._failures.remove(failure)
            name = f"{parent}/operations/{next(self._numbers)}"
            self._running[name] = _Running(method, apply, self.polls, failure[1:] if failure else None)
            return self._state(name)

    def poll(self, name: str) -> Any:
        """Return an operation as it is now.

        Raises:
          RefusedError: there is none of that name.
        """
        with self._lock:
            if name not in self._running:
                raise RefusedError(404, f"The resource {name} is not found.", "RESOURCE_NOT_FOUND", {"resource": name})
            self._running[name].polls_left -= 1
            return self._state(name)

    def _state(self, name: str) -> Any:
        from google.longrunning import operations_pb2

        running, answer = self._running[name], operations_pb2.Operation(name=name)
        if running.polls_left > 0:
            return answer
        answer.done = True
        if running.failure:
            answer.error.code, answer.error.message = running.failure
        else:
            running.result = running.result or running.apply()
            answer.response.Pack(type(running.result).pb(running.result))
        return answer
