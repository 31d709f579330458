"""Says how two compiled jobs differ, a line per value: `python tools/compare_jobs.py OLD.json NEW.json`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ABSENT = "nothing"
_MAX_CHARS = 160
_MAX_PLACES = 3


def differences(old: Any, new: Any) -> list[str]:
    """Return a line per change of a value; a change that many places have in common, such as a digest, is told once."""
    before, after = dict(_values(old)), dict(_values(new))
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted({*before, *after}):
        change = before.get(path, _ABSENT), after.get(path, _ABSENT)
        if change[0] != change[1]:
            places[change].append(path)
    return [f"{_where(paths)}: {_short(old)} -> {_short(new)}" for (old, new), paths in places.items()]


def _values(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, value as JSON) of all leaves, those of JSON in a string too."""
    if isinstance(node, str) and node[:1] in ("{", "["):
        with contextlib.suppress(ValueError):  # text that only begins like JSON
            node = json.loads(node)
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _values(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list) and node:
        for index, value in enumerate(node):
            yield from _values(value, f"{path}[{index}]")
    else:
        yield path, json.dumps(node, sort_keys=True)


def _where(paths: list[str]) -> str:
    more = len(paths) - _MAX_PLACES
    return ", ".join(paths[:_MAX_PLACES]) + (f" and {more} more" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}... ({len(text)} characters)"


def main(old: str, new: str) -> None:
    """Print the differences, or that there are none."""
    found = differences(*(json.loads(Path(path).read_text("utf-8")) for path in (old, new)))
    print("\n".join(found) or "the compiled job is the same")


if __name__ == "__main__":
    main(*sys.argv[1:])
