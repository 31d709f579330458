"""Numbered versions in a folder, local or remote. A reader never sees half a version."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from pipeline.remote import is_remote
from pipeline.versions import content_digest, files_in, versions_in

# What readers look for to decide that a version is complete: on storage without renames these go last.
LAST_FILES = ("saved_model.pb", "SHA256SUMS")
# Of what is not all there yet. Dot names are no versions: TF Serving and `versions_in` pass over them.
INCOMING_PREFIX = ".incoming-"


def publish(source: str, destination: str) -> str:
    """Copy a folder to `<destination>/<next version>`.

    Publishing what the newest version already holds, byte for byte, adds no version.

    Args:
      source: folder to publish.
      destination: folder of versions 1, 2, ...; made if it is not there.

    Returns:
      Path of the version.
    """
    newest = max(versions_in(destination), default=0)
    folder = destination.rstrip("/")
    if newest and content_digest(f"{folder}/{newest}") == content_digest(source):
        return f"{folder}/{newest}"
    if is_remote(destination):
        return _publish_remote(source, f"{folder}/{newest + 1}")
    return _publish_local(source, Path(destination), newest + 1)


def _publish_local(source: str, destination: Path, version: int) -> str:
    destination.mkdir(parents=True, exist_ok=True)
    scratch = destination / f"{INCOMING_PREFIX}{uuid.uuid4().hex}"
    try:
        shutil.copytree(source, scratch)
        _sync(scratch)
        target = _rename_to_next(scratch, destination, version)
        _sync_folder(destination)
        return str(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _rename_to_next(scratch: Path, destination: Path, version: int) -> Path:
    while True:
        try:
            return scratch.rename(destination / str(version))  # fails if the version exists: folders are never empty here
        except OSError:
            if not (destination / str(version)).exists():
                raise
            version += 1


def _sync(folder: Path) -> None:
    """Have everything below a folder on the disk, for a power cut not to leave a version of empty files."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(parent))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish_remote(source: str, target: str) -> str:
    from tfx.dsl.io import fileio  # takes seconds, and local folders need it not

    files = sorted(files_in(source), key=lambda name: (name in LAST_FILES, name))
    for name in files:
        fileio.makedirs(os.path.dirname(f"{target}/{name}"))
        fileio.copy(os.path.join(source, name), f"{target}/{name}")
    return target
