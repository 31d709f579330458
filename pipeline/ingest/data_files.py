"""Which files a run read, so that it can be said years later: size, sha256 and rows of each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import NamedTuple

from pipeline.digests import file_digest, listing_digest
from pipeline.ingest.source import list_files
from pipeline.remote import is_remote


@dataclass(frozen=True)
class DataFile:
    """A file as a run read it.

    Attributes:
      path: as it was opened.
      rows: read from it, unusable ones included.
      size_bytes: as stored, compressed or not.
      modified: ISO 8601, UTC.
      sha256: of the content; None of a remote file, which is not downloaded twice, and of one that changed while the run began.
    """

    path: str
    rows: int
    size_bytes: int | None = None
    modified: str | None = None
    sha256: str | None = None


class FileDigests(NamedTuple):
    """Size and sha256 of local files, in the order in which they are read. A stage gets them as text: they are computed once.

    Names are not in it: what files hold decides whether a stage runs, not where they lie.
    """

    known: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, base: str, pattern: str) -> FileDigests:
        """Read the local files below a folder that match a pattern."""
        return cls(tuple((os.path.getsize(path), file_digest(path)) for path in list_files(base, pattern)))

    @classmethod
    def from_json(cls, text: str) -> FileDigests:
        """Return what `to_json` made a text of."""
        return cls(tuple((size, sha256) for size, sha256 in json.loads(text)))

    def to_json(self) -> str:
        return json.dumps(self.known)

    def find(self, position: int, size_bytes: int) -> str | None:
        """Return the sha256 of a file, None if it is unknown or of another size by now."""
        size, sha256 = self.known[position] if position < len(self.known) else (None, None)
        return sha256 if size == size_bytes else None


def identified(files: Sequence[DataFile], digests: FileDigests) -> list[DataFile]:
    """Return files with what is known of their content.

    Args:
      files: as they were read, in the order of the digests.
      digests: of local files.
    """
    return [_identified(file, position, digests) for position, file in enumerate(files)]


def total_digest(files: Sequence[DataFile], base: str) -> str | None:
    """Return one digest of all files, that of what `sha256sum` prints of them by name; None if that of one is unknown."""
    known = {os.path.relpath(file.path, base): file.sha256 for file in files if file.sha256}
    return listing_digest(known) if files and len(known) == len(files) else None


def _identified(file: DataFile, position: int, digests: FileDigests) -> DataFile:
    if is_remote(file.path):
        import tensorflow as tf

        found = tf.io.gfile.stat(file.path)
        return replace(file, size_bytes=int(found.length), modified=_time(found.mtime_nsec / 1e9))
    known = os.stat(file.path)
    sha256 = digests.find(position, known.st_size)
    return replace(file, size_bytes=known.st_size, modified=_time(known.st_mtime), sha256=sha256)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
