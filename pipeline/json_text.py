"""JSON as the standard has it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_json(value: Any) -> str:
    """Return a value as indented JSON, with null where there is no number: NaN is no JSON."""
    return json.dumps(_without_nan(value), indent=1)


def to_json_line(value: Any) -> str:
    """Return the same in one line, as of JSON Lines."""
    return json.dumps(_without_nan(value)) + "\n"


def write_durably(file: Path, text: str) -> None:
    """Write a file in one rename, and not as an empty one if the power goes.

    Raises:
      OSError: it cannot be written.
    """
    scratch = file.with_name(f".{file.name}")
    with scratch.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(file)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
