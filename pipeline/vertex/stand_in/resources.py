"""What the service keeps: resources by name, made, found, listed and ended as the API does it."""

from __future__ import annotations

import itertools
import re
import threading
from typing import Any

from pipeline.vertex.stand_in.faults import RefusedError

_CONDITION = re.compile(r'\s*(?P<field>[\w.]+)\s*(?P<sign>=|!=)\s*"?(?P<value>[^"]*?)"?\s*')


class Resources:
    """Resources of all kinds, as the API's own messages. Thread-safe."""

    def __init__(self, project: str, region: str):
        """Begin with nothing.

        Args:
          project: that may be asked for; another is somebody else's.
          region: the same.
        """
        self.location = f"projects/{project}/locations/{region}"
        self.lock = threading.RLock()
        self._found: dict[str, Any] = {}
        self._numbers = itertools.count(1000)

    def create(self, parent: str, collection: str, resource: Any, identity: str = "") -> Any:
        """Keep a resource under a new name; return it.

        Raises:
          RefusedError: there is one of that name, or the parent is somebody else's.
        """
        self.check_parent(parent)
        with self.lock:
            name = f"{parent}/{collection}/{identity or next(self._numbers)}"
            if name in self._found:
                raise RefusedError(409, f"{name} already exists.")
            resource.name = name
            _stamp(resource, "create_time")
            _stamp(resource, "update_time")
            self._found[name] = resource
            return resource

    def get(self, name: str) -> Any:
        """Return a resource.

        Raises:
          RefusedError: there is none of that name.
        """
        self.check_parent("/".join(name.split("/")[:4]))
        with self.lock:
            if name not in self._found:
                raise RefusedError(404, f"The resource {name} is not found.", "RESOURCE_NOT_FOUND", {"resource": name})
            return self._found[name]

    def list(self, parent: str, collection: str, condition: str = "") -> list[Any]:
        """Return the resources of a collection that keep to a filter, the newest first.

        Raises:
          RefusedError: the filter cannot be read.
        """
        self.check_parent(parent)
        prefix = f"{parent}/{collection}/"
        with self.lock:
            mine = [each for name, each in self._found.items() if name.startswith(prefix) and "/" not in name[len(prefix) :]]
        return [each for each in reversed(mine) if matches(each, condition)]

    def delete(self, name: str) -> None:
        """Forget a resource.

        Raises:
          RefusedError: there is none of that name.
        """
        self.get(name)
        with self.lock:
            del self._found[name]

    def check_parent(self, parent: str) -> None:
        """Refuse what is of another project or region.

        Raises:
          RefusedError: it is.
        """
        if parent != self.location and not parent.startswith(f"{self.location}/"):
            raise RefusedError(
                403,
                f"Permission 'aiplatform.resources.use' denied on resource '//aiplatform.googleapis.com/{parent}' "
                "(or it may not exist).",
                "IAM_PERMISSION_DENIED",
                {"permission": "aiplatform.resources.use", "resource": parent},
            )


def matches(resource: Any, condition: str) -> bool:
    """Tell whether a resource keeps to a filter: comparisons joined by AND.

    Raises:
      RefusedError: it cannot be read.
    """
    for part in filter(None, condition.split(" AND ")):
        found = _CONDITION.fullmatch(part)
        if not found:
            raise RefusedError(400, f"Invalid filter: {part}")
        value: Any = resource
        for step in found["field"].split("."):
            value = value.get(step, "") if hasattr(value, "get") else getattr(value, step, "")
        if (str(getattr(value, "name", value)) == found["value"]) != (found["sign"] == "="):
            return False
    return True


def _stamp(resource: Any, field: str) -> None:
    from google.protobuf import timestamp_pb2

    if field in type(resource).meta.fields:
        now = timestamp_pb2.Timestamp()
        now.GetCurrentTime()
        setattr(resource, field, now)
