"""SHA-256 of files, and of many of them together, as `sha256sum` gives it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

_CHUNK_BYTES = 1 << 24


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a local file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def listing_digest(by_name: Mapping[str, str]) -> str:
    """Return the SHA-256 of what `sha256sum` prints of files, sorted by name.

    Args:
      by_name: {name: SHA-256}.
    """
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(by_name.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
