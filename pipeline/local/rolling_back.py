"""`runner_local.py rollback`: the version before comes back, as a new version, and the model it replaces is not pushed again.

Every step may be repeated: a rollback that is interrupted is finished by the same command, and takes back no second model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.artifacts import DESTINATION_PROPERTY
from pipeline.errors import ConfigError
from pipeline.local.lock import root_lock
from pipeline.local.run_folder import METADATA_FILE, PUSHED_FOLDER, SUMMARY_FILE, read_summary
from pipeline.local.store import back_up, is_sound, open_store
from pipeline.publishing import publish
from pipeline.versions import content_digest, model_digest, versions_in
from pipeline.withdrawn import Withdrawal, read_withdrawn, write_withdrawn

if TYPE_CHECKING:
    from ml_metadata.metadata_store import MetadataStore

_EXECUTION_TYPE = "Rollback"


@dataclass(frozen=True)
class Restored:
    """What became of one kind of model.

    Attributes:
      kind: "saved_model" or "edge".
      withdrawn: the version that was the newest.
      source: the version that comes back.
      version: that it comes back as.
    """

    kind: str
    withdrawn: int
    source: int
    version: int


def roll_back(root: Path, version: int | None = None, reason: str = "") -> list[Restored]:
    """Put back an earlier version of the SavedModel, and of the edge model if the newest one was made from the same model.

    Args:
      root: of the pipeline.
      version: of the SavedModel to go back to; None: the newest whose model is another than the newest version's.
      reason: is recorded.

    Returns:
      What was put back.

    Raises:
      ConfigError: there is nothing to go back to.
      RootLockedError: a run holds the root.
    """
    with root_lock(root):
        pushed, store = root / PUSHED_FOLDER, open_store(root) if is_sound(root / METADATA_FILE) else None
        digests = _digests(pushed / "saved_model", model_digest)
        withdrawn = read_withdrawn(pushed)
        if not any(each.pending for each in withdrawn):
            withdrawn = (*withdrawn, *_to_withdraw(root, digests, {each.digest for each in withdrawn}, version, reason))
            write_withdrawn(pushed, withdrawn)
        taken_back = {each.digest for each in withdrawn}
        edges = _edge_versions(root, digests)
        damaged = _damaged_versions(store) if store else set()
        restored = [
            *_restore(pushed / "saved_model", {n for n, digest in digests.items() if digest in taken_back}, damaged),
            *_restore(pushed / "edge", {n for n, digest in edges.items() if digest in taken_back}, damaged),
        ]
        if store:
            _record(store, taken_back, restored, reason)
            back_up(root)
        write_withdrawn(pushed, tuple(replace(each, pending=False) for each in withdrawn))
        return restored


def _to_withdraw(
    root: Path, digests: dict[int, str], already: set[str], version: int | None, reason: str
) -> Iterator[Withdrawal]:
    """Yield the models that are to go."""
    if not digests:
        raise ConfigError(f"No SavedModel has been pushed below {root}, so there is nothing to roll back.")
    if version is not None and version not in digests:
        raise ConfigError(f"--to {version}: there is no such version. There are: {', '.join(map(str, sorted(digests)))}.")
    newest = max(digests)
    if version is None:
        bad = {digests[newest]: newest}
    else:
        later = {digest: number for number, digest in sorted(digests.items()) if number > version}
        bad = {digest: number for digest, number in later.items() if digest != digests[version]}
        if digests[version] in already:
            raise ConfigError(f"--to {version}: that model was withdrawn itself. Choose another version, or train again.")
    if not any(digest not in {*already, *bad} for digest in digests.values()):
        raise ConfigError(f"There is no earlier version than {newest} to go back to.")
    at = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    yield from (Withdrawal(digest, number, at, reason, pending=True) for digest, number in bad.items() if digest not in already)


def _restore(folder: Path, withdrawn: set[int], damaged: set[Path]) -> Iterator[Restored]:
    """Publish the newest version that is whole and not withdrawn once more, if the newest of all is withdrawn."""
    numbers = sorted(versions_in(str(folder)), reverse=True)
    sources = [number for number in numbers if number not in withdrawn and folder / str(number) not in damaged]
    if numbers and numbers[0] in withdrawn and sources:
        version = publish(str(folder / str(sources[0])), str(folder))
        yield Restored(folder.name, numbers[0], sources[0], int(Path(version).name))


def _damaged_versions(store: MetadataStore) -> set[Path]:
    """Return the folders of versions that do not hold any more what was pushed."""
    from pipeline.local.contents import folder_of, is_intact

    pushes = [a for a in store.get_artifacts() if DESTINATION_PROPERTY in a.custom_properties]
    return {Path(folder_of(push)) for push in pushes if not is_intact(push)}


def _edge_versions(root: Path, digests: dict[int, str]) -> dict[int, str]:
    """Return {edge version: digest of the SavedModel that was pushed in the same run}, as far as summaries tell."""
    edges = _digests(root / PUSHED_FOLDER / "edge", content_digest)
    partners: dict[str, str] = {}
    for file in sorted((root / "runs").glob(f"*/{SUMMARY_FILE}")):
        pushed: dict[str, str] = read_summary(file).get("pushed") or {}
        if pushed.get("saved_model") and pushed.get("edge"):
            edge, model = (int(Path(pushed[kind]).name) for kind in ("edge", "saved_model"))
            if edge in edges and model in digests:
                partners[edges[edge]] = digests[model]
    # By content, because a version may have come back under another number.
    return {number: partners[digest] for number, digest in edges.items() if digest in partners}


def _digests(folder: Path, digest: Callable[[str], str]) -> dict[int, str]:
    return {number: digest(str(folder / str(number))) for number in sorted(versions_in(str(folder)))}


def _record(store: MetadataStore, taken_back: set[str], restored: list[Restored], reason: str) -> None:
    """Have ML Metadata know, and offer no withdrawn model as what a candidate is compared with."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    blessings = [blessing for blessing in _blessings(store) if _serving_digest(blessing) in taken_back]
    for blessing in blessings:
        blessing.state = mlmd.Artifact.DELETED
    if blessings:
        store.put_artifacts(blessings)
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name=_EXECUTION_TYPE)), last_known_state=mlmd.Execution.COMPLETE
    )
    execution.custom_properties["reason"].string_value = reason
    for each in restored:
        execution.custom_properties[f"{each.kind}_withdrawn"].int_value = each.withdrawn
        execution.custom_properties[f"{each.kind}_source"].int_value = each.source
        execution.custom_properties[f"{each.kind}_version"].int_value = each.version
    store.put_executions([execution])


def _blessings(store: MetadataStore) -> list:
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    return [artifact for artifact in store.get_artifacts_by_type("ModelBlessing") if artifact.state == mlmd.Artifact.LIVE]


def _serving_digest(blessing) -> str | None:
    folder = Path(blessing.custom_properties["current_model"].string_value) / "Format-Serving"
    return model_digest(str(folder)) if folder.is_dir() else None
