"""Which source answers: ML Metadata, or what the runs wrote when it is gone or when the artifacts are."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ml_metadata.errors import StatusError

from pipeline.lineage.errors import LineageError, StoreError
from pipeline.lineage.provenance import open_store
from pipeline.lineage.record import Lineage, ModelName
from pipeline.lineage.store_source import StoreSource
from pipeline.lineage.written_source import WrittenSource
from pipeline.local.run_folder import METADATA_FILE, PUSHED_FOLDER
from pipeline.versions import content_digest, versions_in

_MOST_SHOWN = 20


class Answer(NamedTuple):
    """A lineage and, where it is not the whole or not the first source's, a sentence that says so."""

    lineage: Lineage
    note: str | None


def read_lineage(root: Path, asked: str | None = None) -> Answer:
    """Return where a pushed model came from.

    Args:
      root: of a pipeline; a run may hold it.
      asked: such as "pushed/edge/3"; default: the newest SavedModel that is still there.

    Raises:
      LineageError: there is no such model, or nothing is left that could tell.
    """
    if not root.is_dir():
        raise LineageError(f"{root} does not exist. Expected the root folder of a pipeline that has run.")
    written = WrittenSource(root)
    try:
        store = StoreSource(open_store(root / METADATA_FILE), root)
        name = _chosen(asked, {*store.names, *written.names}, root)
        if name in store.names:
            return _more_telling(store.read(name), written)
        problem = f"{root / METADATA_FILE} does not know {name}."
    except (StoreError, StatusError) as error:
        if not written.names:
            raise StoreError(f"{error} No run left a lineage.json either: nothing is known of the models of {root}.") from error
        problem, name = f"{error}", _chosen(asked, written.names, root)
    lineage = written.read(name)
    return Answer(lineage, f"{problem} This is what was written to {lineage.read_from}.")


def _more_telling(found: Lineage, written: WrittenSource) -> Answer:
    """Return what ML Metadata says, or what was written while the files still were there that it names."""
    if not found.missing:
        return Answer(found, None)
    gone = ", ".join(found.missing)
    if found.name in written.names and len((kept := written.read(found.name)).missing) < len(found.missing):
        return Answer(kept, f"Gone: {gone}. This is what was written to {kept.read_from}.")
    return Answer(found, f"Gone: {gone}. What they said is left out.")


def _chosen(asked: str | None, names: Collection[ModelName], root: Path) -> ModelName:
    """Return the version that is meant; of one that a rollback made, the version whose bytes it holds."""
    if not names:
        raise LineageError(f"Nothing was pushed from {root} yet. A run pushes when every gate is passed.")
    shown = ", ".join(str(name) for name in sorted(names)[-_MOST_SHOWN:])
    if asked is not None:
        name = ModelName.parse(asked)
        known = name and (name if name in names else _with_same_content(name, names, root))
        if known is None:
            raise LineageError(f"Unknown model '{asked}'. Expected one of: {shown}.")
        return known
    there = [ModelName("saved_model", version) for version in versions_in(str(root / PUSHED_FOLDER / "saved_model"))]
    if there and (newest := max(there)) not in names and (known := _with_same_content(newest, names, root)):
        return known
    servers = [name for name in names if name.kind == "saved_model"]
    if not servers:
        raise LineageError(f"No SavedModel was pushed from {root} yet. Name another model with --model: {shown}.")
    return max(servers, key=lambda name: ((root / str(name)).is_dir(), name.version))


def _with_same_content(name: ModelName, names: Collection[ModelName], root: Path) -> ModelName | None:
    if not (root / str(name)).is_dir():
        return None
    digest = content_digest(str(root / str(name)))
    same = (other for other in sorted(names) if other.kind == name.kind and (root / str(other)).is_dir())
    return next((other for other in same if content_digest(str(root / str(other))) == digest), None)
