"""Values of parameters: as the service passes them on, and as they are written into commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.job import Json


def typed(value: Any, spec: Json) -> Any:
    """Return a value as a parameter's type has it.

    Raises:
      TaskFailedError: it cannot be one.
    """
    kind = spec.get("parameterType")
    try:
        if kind == "NUMBER_INTEGER":
            if float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        if kind == "NUMBER_DOUBLE":
            return float(value)
        if kind == "BOOLEAN" and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        if kind in ("LIST", "STRUCT") and isinstance(value, str):
            return json.loads(value)
    except (TypeError, ValueError, KeyError):
        raise TaskFailedError(f"{value!r} is no {kind}.") from None
    return value


def on_the_wire(value: Any) -> Any:
    """Return a value as google.protobuf.Value has it, in which a task is told: every number is a float, 3 comes as 3.0."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, Mapping):
        return {key: on_the_wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [on_the_wire(item) for item in value]
    return value


def in_text(value: Any) -> str:
    """Return a value as a placeholder writes it: 3.0 as 3, lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)
