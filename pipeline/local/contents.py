"""What the files of an artifact held when its stage was done: what is not so any more is not reused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.artifacts import CONTENT_DIGEST_PROPERTY, DESTINATION_PROPERTY
from pipeline.digests import file_digest, listing_digest
from pipeline.remote import is_remote

FILES_PROPERTY = "content_files"


class FileFacts(NamedTuple):
    """What is known of a file.

    Attributes:
      size: in bytes.
      modified_ns: since 1970, in nanoseconds.
      changed_ns: the same of the last change to the file or its attributes, which no program can set.
      sha256: of the content, in hexadecimal digits.
    """

    size: int
    modified_ns: int
    changed_ns: int
    sha256: str


def record(artifact: mlmd.Artifact) -> None:
    """Write into an artifact's custom properties what its files hold; nothing where they are remote or where there is none."""
    folder = folder_of(artifact)
    if is_remote(folder) or not os.path.isdir(folder):
        return
    files = {name: _facts(os.path.join(folder, name)) for name in _names(folder)}
    digest = listing_digest({name: facts.sha256 for name, facts in files.items()})
    artifact.custom_properties[FILES_PROPERTY].string_value = json.dumps(files, separators=(",", ":"))
    artifact.custom_properties[CONTENT_DIGEST_PROPERTY].string_value = f"sha256:{digest}"


def is_intact(artifact: mlmd.Artifact) -> bool:
    """Tell whether an artifact's files are what they were.

    A file is read again only where its size or its times differ from what they were: a copied or touched file is intact.
    """
    folder = folder_of(artifact)
    if is_remote(folder):
        return True
    recorded = artifact.custom_properties[FILES_PROPERTY].string_value if FILES_PROPERTY in artifact.custom_properties else ""
    if not recorded:  # of an earlier version of this project, or nothing but properties
        return os.path.isdir(folder) or not os.path.isabs(folder)
    files = {name: FileFacts(*facts) for name, facts in json.loads(recorded).items()}
    if not os.path.isdir(folder) or list(_names(folder)) != list(files):
        return False
    return all(_is_same(os.path.join(folder, name), facts) for name, facts in files.items())


def sizes_in(recorded: str | None) -> list[int]:
    """Return the sizes, in bytes, of the files that a FILES_PROPERTY lists."""
    return [facts[0] for facts in json.loads(recorded or "{}").values()]


def delete_damaged(store: MetadataStore, root: Path) -> list[mlmd.Artifact]:
    """Mark artifacts whose files are gone or changed as deleted in ML Metadata, so that nothing reuses them; return them.

    So are local ones that lie outside of the root: they are those of the root that this one was copied from.
    """
    live = [artifact for artifact in store.get_artifacts() if artifact.state == mlmd.Artifact.LIVE]
    damaged = [artifact for artifact in live if not (_is_within(folder_of(artifact), root) and is_intact(artifact))]
    for artifact in damaged:
        artifact.state = mlmd.Artifact.DELETED
    if damaged:
        store.put_artifacts(damaged)
    return damaged


def folder_of(artifact: mlmd.Artifact) -> str:
    """Return where the files of an artifact are: for a pushed model where it was pushed to."""
    pushed = artifact.custom_properties[DESTINATION_PROPERTY].string_value if _is_push(artifact) else ""
    return pushed or artifact.uri


def _is_within(folder: str, root: Path) -> bool:
    return is_remote(folder) or root in Path(folder).parents


def _is_push(artifact: mlmd.Artifact) -> bool:
    return DESTINATION_PROPERTY in artifact.custom_properties


def _names(folder: str) -> Iterator[str]:
    """Give the files below a folder, in an order of their own."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.relpath(os.path.join(parent, name), folder) for name in sorted(names))


def _facts(path: str) -> FileFacts:
    status = os.stat(path)
    return FileFacts(status.st_size, status.st_mtime_ns, status.st_ctime_ns, file_digest(path))


def _is_same(path: str, facts: FileFacts) -> bool:
    status = os.stat(path)
    if status.st_size != facts.size:
        return False
    if (status.st_mtime_ns, status.st_ctime_ns) == (facts.modified_ns, facts.changed_ns):
        return True
    return _facts(path).sha256 == facts.sha256
