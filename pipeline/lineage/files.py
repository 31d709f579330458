"""Files of a root as ML Metadata names them, wherever the root lies by now."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.digests import file_digest, listing_digest


class Content(NamedTuple):
    """What a folder holds; `sha256` is that of what `sha256sum` prints of its files, sorted by name."""

    num_files: int
    size_bytes: int
    sha256: str


class RootFiles:
    """Reads what lies below a root and remembers what is gone."""

    def __init__(self, root: Path, recorded: str):
        """Read.

        Args:
          root: where it is.
          recorded: where it was when ML Metadata was written; the same, unless somebody moved it.
        """
        self._root, self._recorded = root, recorded.rstrip("/") + "/"
        self._missing: set[str] = set()

    @property
    def missing(self) -> tuple[str, ...]:
        """Files that were looked for in vain, relative to the root."""
        return tuple(sorted(self._missing))

    def relative(self, path: str) -> str:
        """Return a path as it is below the root, or as it is if it is not."""
        return path.removeprefix(self._recorded)

    def path(self, recorded: str) -> Path:
        """Return where a recorded path is now."""
        return self._root / self.relative(recorded)

    def read_text(self, recorded: str) -> str | None:
        """Return what a file holds, None if it is gone."""
        try:
            return self.path(recorded).read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            self._missing.add(self.relative(recorded))
            return None

    def read_json(self, recorded: str) -> dict[str, Any]:
        """Return what a JSON file holds, nothing if it is gone."""
        text = self.read_text(recorded)
        try:
            return json.loads(text) if text is not None else {}
        except ValueError:  # half a file is none
            self._missing.add(self.relative(recorded))
            return {}

    def content(self, recorded: str) -> Content | None:
        """Return what a folder holds, None if it is gone."""
        folder = self.path(recorded)
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        if not files:
            self._missing.add(self.relative(recorded))
            return None
        size_bytes = sum(path.stat().st_size for path in files.values())
        return Content(len(files), size_bytes, listing_digest({name: file_digest(path) for name, path in files.items()}))


def text_digest(text: str) -> str:
    """Return the sha256 of a text as a file holds it."""
    return hashlib.sha256(text.encode()).hexdigest()
