"""Folders of versions 1, 2, ..., as a reader sees them; local ones are read without TFX."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from pipeline.remote import is_remote


def versions_in(destination: str) -> list[int]:
    """Return the versions that a reader sees; none of a folder that is not there."""
    names = _files_of(destination).listdir(destination) if _files_of(destination).isdir(destination) else []
    return [int(name.rstrip("/")) for name in names if name.rstrip("/").isdigit()]


def content_digest(folder: str) -> str:
    """Return the SHA-256, in hexadecimal digits, of the names and contents of all files of a version."""
    return _digest(folder, files_in(folder))


def model_digest(folder: str) -> str:
    """Return the same of a SavedModel's variables and assets: a model that is trained again with the same result has the same.

    Its graph names temporary folders, and is no other model for that.
    """
    return _digest(folder, [name for name in files_in(folder) if name not in ("saved_model.pb", "fingerprint.pb")])


def _digest(folder: str, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        with _files_of(folder).open(os.path.join(folder, name), "rb") as file:
            content = file.read()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def files_in(folder: str) -> list[str]:
    """Return the names of all files below a folder, sorted."""
    found = []
    for parent, _, names in _files_of(folder).walk(folder):
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in names]
    return sorted(found)


class _Local:
    """Python's own, by the names of TFX's fileio."""

    listdir, isdir, open, walk = (
        staticmethod(os.listdir),
        staticmethod(os.path.isdir),
        staticmethod(open),
        staticmethod(os.walk),
    )


def _files_of(path: str) -> Any:
    if not is_remote(path):
        return _Local
    from tfx.dsl.io import fileio  # takes seconds

    return fileio
