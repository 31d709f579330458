"""Stands for Vertex ML Metadata: artifacts for resolvers and importers, and what earlier executions left, in one JSON file.

What filters mean was read in the API's documentation and in what TFX emits; nothing was compared with the service.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.json_text import to_json, write_durably
from pipeline.vertex.rehearsal.artifacts import LIVE, Artifact, Artifacts
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.job import Json


@dataclass(frozen=True)
class Outputs:
    """What an execution gave.

    Attributes:
      artifacts: {name: artifacts}.
      parameters: {name: value}.
    """

    artifacts: Artifacts = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Store:
    """Artifacts and executions of all rehearsals of a root. Thread-safe; every change is on the disk when a call returns."""

    def __init__(self, file: Path, parent: str):
        """Read what there is.

        Args:
          file: that keeps it.
          parent: projects/N/locations/L.
        """
        self._file, self._prefix, self._lock = file, f"{parent}/metadataStores/default/artifacts", threading.RLock()
        content = _read(file)
        self._artifacts = {name: Artifact(**body) for name, body in content.get("artifacts", {}).items()}
        self._executions: dict[str, Json] = content.get("executions", {})

    def new(self, type_: Json, uri: str, metadata: Mapping[str, Any] | None = None) -> Artifact:
        """Return a pending artifact with a name of its own, which the store does not know yet."""
        number = secrets.randbits(63)
        return Artifact(f"{self._prefix}/{number}", type_, uri, dict(metadata or {}), created_ms=round(time.time() * 1000))

    def publish(self, outputs: Outputs, key: str | None) -> Outputs:
        """Keep what an execution gave, for later ones to find.

        Args:
          outputs: with pending artifacts.
          key: of the cache; None: is never taken again.

        Returns:
          The same with live artifacts.
        """
        live = {name: tuple(artifact.published() for artifact in each) for name, each in outputs.artifacts.items()}
        with self._lock:
            self._artifacts |= {artifact.name: artifact for each in live.values() for artifact in each}
            if key:
                names = {name: [artifact.name for artifact in each] for name, each in live.items()}
                self._executions[key] = {"artifacts": names, "parameters": dict(outputs.parameters)}
            self._save()
        return Outputs(live, outputs.parameters)

    def cached(self, key: str) -> Outputs | None:
        """Return what an equal execution gave, None where there was none, or where its files are gone."""
        with self._lock:
            found = self._executions.get(key)
            if found is None:
                return None
            artifacts = {name: tuple(self._artifacts[each] for each in names) for name, names in found["artifacts"].items()}
        for each in artifacts.values():
            for artifact in each:
                if not artifact.is_there:
                    logging.warning("%s is gone: its task runs again. The service would take it for reusable.", artifact.uri)
                    return None
        return Outputs(artifacts, found["parameters"])

    def query(self, text: str, limit: int) -> tuple[Artifact, ...]:
        """Return the newest live and other artifacts that a filter describes, at most so many.

        Raises:
          TaskFailedError: the filter cannot be read.
        """
        tests = [_test(each) for each in re.split(r"\s+AND\s+", text.strip())]
        return self._newest(lambda artifact: all(test(artifact) for test in tests))[:limit]

    def imported(self, like: Artifact) -> Artifact | None:
        """Return the newest live artifact with the type, URI and metadata of another."""
        found = self._newest(
            lambda one: (
                (one.state, one.title, one.uri) == (LIVE, like.title, like.uri)
                and all(one.metadata.get(name) == value for name, value in like.metadata.items())
            )
        )
        return found[0] if found else None

    def _newest(self, wanted: Callable[[Artifact], bool]) -> tuple[Artifact, ...]:
        with self._lock:
            artifacts: Iterable[Artifact] = reversed(list(self._artifacts.values()))  # in the order of their publication
            return tuple(artifact for artifact in artifacts if wanted(artifact))

    def _save(self) -> None:
        artifacts = {name: artifact.to_dict() for name, artifact in self._artifacts.items()}
        write_durably(self._file, to_json({"artifacts": artifacts, "executions": self._executions}))


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        logging.warning("%s cannot be read: the rehearsal begins as in a new project.", file)
        return {}
    return content


def _test(clause: str) -> Callable[[Artifact], bool]:
    """Return a test for one comparison of a filter."""
    found = re.fullmatch(r"([\w.]+)\s*=\s*(\"[^\"]*\"|[\w.+-]+)", clause.strip())
    if not found:
        raise TaskFailedError(f"Cannot read the filter {clause!r}; expected field=value, joined by AND.")
    name, value = found.group(1), found.group(2).strip('"')
    if name in ("schema_title", "state", "name", "uri"):
        attribute = "title" if name == "schema_title" else name
        return lambda artifact: getattr(artifact, attribute) == value
    if parts := re.fullmatch(r"metadata\.(\w+)\.(number|string)_value", name):
        key, kind = parts.groups()
        return lambda artifact: _equals(artifact.metadata.get(key), value, kind)
    raise TaskFailedError(
        f"The filter asks for '{name}'; a rehearsal knows schema_title, state, name, uri, metadata.KEY.number_value and "
        "metadata.KEY.string_value."
    )


def _equals(actual: Any, value: str, kind: str) -> bool:
    if kind == "string":
        return actual == value
    return isinstance(actual, int | float) and float(actual) == float(value)
