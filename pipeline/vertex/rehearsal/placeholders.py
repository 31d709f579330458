"""Placeholders in commands and filters: {{$}}, {{$.inputs.parameters['x']}}, {{$.outputs.artifacts['y'].uri}} and so on."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.job import Json
from pipeline.vertex.rehearsal.values import in_text

_PLACEHOLDER = re.compile(r"\{\{(\$[^{}]*)\}\}")
_PATH = re.compile(
    r"\$\.(?P<side>inputs|outputs)\.(?P<kind>parameters|artifacts)\['(?P<name>[^']+)'\]"
    r"(?P<field>\.\w+)?(?:\['(?P<key>[^']+)'\])?"
)


class NothingThereError(LookupError):
    """A placeholder asks an artifact that there is none of."""


def fill(text: str, told: Json) -> str:
    """Return a text with the placeholders in it replaced.

    Args:
      text: an argument of a command, or a filter.
      told: the ExecutorInput.

    Raises:
      TaskFailedError: a placeholder cannot be read, or asks for a parameter that there is not.
      NothingThereError: there is no artifact of that name, or it lacks that metadata.
    """
    return _PLACEHOLDER.sub(lambda found: _value(found.group(1), told), text)


def _value(path: str, told: Json) -> str:
    if path == "$":
        return json.dumps(told)
    if path == "$.outputs.outputFile":
        return told["outputs"]["outputFile"]
    found = _PATH.fullmatch(path)
    if not found:
        raise TaskFailedError(f"Cannot read the placeholder {{{{{path}}}}}.")
    side, name = told[found["side"]], found["name"]
    if found["kind"] == "artifacts":
        return _of_artifact(side["artifacts"].get(name, {}).get("artifacts", []), found)
    values = side["parameters" if found["side"] == "outputs" else "parameterValues"]
    if name not in values:
        raise TaskFailedError(f"The placeholder {{{{{path}}}}} asks for '{name}'; there is: {', '.join(values) or 'none'}.")
    return values[name]["outputFile"] if found["side"] == "outputs" else in_text(values[name])


def _of_artifact(artifacts: list[Any], found: re.Match[str]) -> str:
    if not artifacts:
        raise NothingThereError(found["name"])
    artifact, wanted = artifacts[0], (found["field"] or "").removeprefix(".")
    if wanted in ("uri", "name"):
        return artifact[wanted]
    if wanted == "path":
        return artifact["uri"]
    if wanted == "value":
        return _read(artifact["uri"])
    if wanted == "metadata" and found["key"]:
        if found["key"] not in artifact["metadata"]:
            raise NothingThereError(f"{found['name']}.{found['key']}")
        return in_text(artifact["metadata"][found["key"]])
    raise TaskFailedError(
        f"The placeholder of the artifact '{found['name']}' asks for '{wanted}'; expected uri, value, metadata."
    )


def _read(path: str) -> str:
    if not os.path.isfile(path):
        raise TaskFailedError(f"{path}, whose value a placeholder asks for, is not there.")
    with open(path, encoding="utf-8") as file:
        return file.read()
