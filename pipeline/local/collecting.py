"""`runner_local.py gc`: removes what no kept run and no kept version came from, and has ML Metadata know."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.artifacts import DESTINATION_PROPERTY
from pipeline.lineage.written_source import LINEAGE_FILE
from pipeline.local.run_folder import ARTIFACTS_FOLDER, LATEST, PUSHED_FOLDER, SUMMARY_FILE, read_summary
from pipeline.publishing import INCOMING_PREFIX
from pipeline.versions import content_digest, versions_in

_RUN_CONTEXT = "pipeline_run"
_BLESSED, _CURRENT_MODEL_ID = "blessed", "current_model_id"


@dataclass(frozen=True)
class Garbage:
    """What may go.

    Attributes:
      kind: for people: the stage that an artifact is of, "run", "pushed saved_model", ...
      path: file or folder.
      size_bytes: of all files in it.
    """

    kind: str
    path: Path
    size_bytes: int


@dataclass(frozen=True)
class Plan:
    """What is to be removed.

    Attributes:
      garbage: files and folders.
      artifacts: to be marked as deleted in ML Metadata.
      kept_runs: ids, newest first.
    """

    garbage: tuple[Garbage, ...]
    artifacts: tuple[mlmd.Artifact, ...]
    kept_runs: tuple[str, ...]


def plan(store: MetadataStore, root: Path, keep_runs: int, keep_pushed: int) -> Plan:
    """Find out what may go.

    Args:
      store: ML Metadata of the root.
      root: of the pipeline.
      keep_runs: the newest so many runs stay, with all that they read and wrote.
      keep_pushed: the newest so many versions of each kind stay, with all that they were made from.
    """
    runs = sorted((path for path in (root / "runs").glob("*") if path.is_dir() and not path.is_symlink()), reverse=True)
    kept_runs = tuple(path.name for path in runs[:keep_runs])
    versions = [path for kind in _kinds(root) for path in _old_versions(kind, keep_pushed)]
    artifacts = store.get_artifacts()
    pushes = [artifact for artifact in artifacts if _destination(artifact, root)]
    kept_pushes = {a.id for a in pushes if (path := _destination(a, root)) and path.exists() and path not in versions}
    needed = _of_runs(store, kept_runs) | _ancestors(store, kept_pushes) | _latest_blessed(store, artifacts)
    unneeded = tuple(a for a in artifacts if a.id not in needed and a.state == mlmd.Artifact.LIVE)
    going = {*(artifact.id for artifact in unneeded)} | {a.id for a in artifacts if a.state == mlmd.Artifact.DELETED}
    folders = [folder for a in artifacts if a.id in going - needed and (folder := _folder(a, root))]
    garbage = [
        *(_garbage(folder.relative_to(root / ARTIFACTS_FOLDER).parts[0], folder) for folder in folders),
        *(_garbage(f"pushed {path.parent.name}", path) for path in versions),
        *(_garbage("run", path) for run in runs[keep_runs:] for path in _old_run(run, root, versions)),
        *(_garbage("damaged", path) for path in sorted(root.glob("*.damaged-*"))),
    ]
    return Plan(tuple(garbage), unneeded, kept_runs)


def collect(store: MetadataStore, chosen: Plan) -> None:
    """Remove what a plan lists. ML Metadata is told first: a cache hit never points at what is half gone."""
    for artifact in chosen.artifacts:
        artifact.state = mlmd.Artifact.DELETED
    if chosen.artifacts:
        store.put_artifacts(chosen.artifacts)
    for garbage in chosen.garbage:
        _remove(garbage.path)


def _of_runs(store: MetadataStore, run_ids: Iterable[str]) -> set[int]:
    """Return the artifacts that the executions of some runs read or wrote."""
    contexts = [store.get_context_by_type_and_name(_RUN_CONTEXT, run_id) for run_id in run_ids]
    executions = [e.id for context in contexts if context for e in store.get_executions_by_context(context.id)]
    return _made_or_used(store, executions)


def _ancestors(store: MetadataStore, artifact_ids: set[int]) -> set[int]:
    """Return some artifacts and all that they were made from, with what came out beside them."""
    found, pending = set(artifact_ids), set(artifact_ids)
    while pending:
        events = store.get_events_by_artifact_ids(sorted(pending))
        makers = {event.execution_id for event in events if event.type == mlmd.Event.OUTPUT}
        pending = _made_or_used(store, sorted(makers)) - found
        found |= pending
    return found


def _made_or_used(store: MetadataStore, executions: list[int]) -> set[int]:
    """Return the artifacts that executions wrote or read; the model that a candidate was compared with is another story."""
    events = store.get_events_by_execution_ids(executions) if executions else []
    kinds = (mlmd.Event.INPUT, mlmd.Event.OUTPUT)  # not what a resolver found
    return {e.artifact_id for e in events if e.type in kinds and e.path.steps[0].key != "baseline_model"}


def _latest_blessed(store: MetadataStore, artifacts: list[mlmd.Artifact]) -> set[int]:
    """Return what the next candidate will be compared with."""
    types = {a_type.id: a_type.name for a_type in store.get_artifact_types()}
    blessings = [a for a in artifacts if types[a.type_id] == "ModelBlessing" and a.state == mlmd.Artifact.LIVE]
    live = {artifact.id for artifact in artifacts if artifact.state == mlmd.Artifact.LIVE}
    blessed = [
        a
        for a in blessings
        if a.custom_properties[_BLESSED].int_value == 1 and a.custom_properties[_CURRENT_MODEL_ID].int_value in live
    ]
    newest = max(blessed, key=lambda a: a.custom_properties[_CURRENT_MODEL_ID].int_value, default=None)
    return {newest.id, newest.custom_properties[_CURRENT_MODEL_ID].int_value} if newest else set()


def _kinds(root: Path) -> list[Path]:
    return sorted(path for path in (root / PUSHED_FOLDER).glob("*") if path.is_dir())


def _old_versions(kind: Path, keep: int) -> list[Path]:
    """Return the versions that may go; not that which a rollback has brought back under another number."""
    versions = [kind / str(number) for number in sorted(versions_in(str(kind)), reverse=True)]
    kept = {content_digest(str(version)) for version in versions[: max(keep, 1)]}  # a reader needs one
    return [version for version in versions[max(keep, 1) :] if content_digest(str(version)) not in kept]


def _destination(artifact: mlmd.Artifact, root: Path) -> Path | None:
    if DESTINATION_PROPERTY not in artifact.custom_properties:
        return None
    path = artifact.custom_properties[DESTINATION_PROPERTY].string_value
    return Path(path) if path.startswith(f"{root}/") else None


def _folder(artifact: mlmd.Artifact, root: Path) -> Path | None:
    """Return <stage>/<key>/<execution> of an artifact, if it is there."""
    path = Path(artifact.uri)
    artifacts = root / ARTIFACTS_FOLDER
    if artifacts not in path.parents:
        return None
    folder = artifacts.joinpath(*path.relative_to(artifacts).parts[:3])
    return folder if folder.exists() else None


def _old_run(run: Path, root: Path, gone: list[Path]) -> list[Path]:
    """Return what may go of a run that is not kept; of one whose models are still there, its summary and lineage stay."""
    if (root / "runs" / LATEST).resolve() == run:
        return []
    summary = run / SUMMARY_FILE
    pushed = _pushed_by(summary, root)
    if not any(path.exists() and path not in gone for path in pushed):
        return [run]
    return [path for path in sorted(run.iterdir()) if path.name not in (SUMMARY_FILE, LINEAGE_FILE)]


def _pushed_by(summary: Path, root: Path) -> Iterator[Path]:
    yield from (root / path for path in read_summary(summary).get("pushed", {}).values() if path)


def _garbage(kind: str, path: Path) -> Garbage:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    return Garbage(kind, path, sum(file.stat().st_size for file in files))


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink()
        return
    if path.parent.parent.name == PUSHED_FOLDER:  # a reader sees all of a version, or none
        path = path.rename(path.with_name(f"{INCOMING_PREFIX}{path.name}"))
    shutil.rmtree(path)
