"""Executions, artifacts and events of ML Metadata, walked backwards."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.lineage.errors import StoreError

_INPUTS = (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT)
# Without internal outputs: those are a resolver's, which made nothing.
_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)


def open_store(path: Path) -> MetadataStore:
    """Open a store for reading, also while a run writes to it. Nothing is created or changed.

    Raises:
      StoreError: it is not there, or is no store that can be read.
    """
    if not path.is_file():  # SQLite would rather be told
        raise StoreError(f"{path} does not exist.")
    if not path.stat().st_size:
        raise StoreError(f"{path} is empty.")
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    try:
        return MetadataStore(config)
    except RuntimeError as error:
        reason = str(error).removeprefix("Error when executing query: ").partition(" query: ")[0]
        raise StoreError(f"{path} cannot be read: {reason}.") from error


class Provenance:
    """Asks a store who made what, from what, and for whom."""

    def __init__(self, store: MetadataStore):
        """Look things up as they are asked for, each once."""
        self._store = store

    def of_type(self, name: str) -> list[mlmd.Artifact]:
        """Return all artifacts of a type, in the order they were made."""
        return sorted(self._store.get_artifacts_by_type(name), key=lambda artifact: artifact.id)

    @functools.cache  # noqa: B019 - lives as long as one question
    def producer(self, artifact_id: int) -> mlmd.Execution | None:
        """Return the execution that made an artifact, not those that reused it."""
        found = self._executions([e.execution_id for e in self._events_of(artifact_id) if e.type in _OUTPUTS])
        return next((one for one in found if one.last_known_state != mlmd.Execution.CACHED), None)

    def consumers(self, artifact_id: int, stage_id: str) -> list[mlmd.Execution]:
        """Return the executions of a stage that read an artifact, the oldest first; without those that were reused."""
        found = self._executions([e.execution_id for e in self._events_of(artifact_id) if e.type in _INPUTS])
        done = [one for one in found if one.last_known_state == mlmd.Execution.COMPLETE]
        return [one for one in done if self.stage_id(one) == stage_id]

    def inputs(self, execution: mlmd.Execution) -> dict[str, list[mlmd.Artifact]]:
        """Return what an execution read."""
        return self._artifacts(execution.id, _INPUTS)

    def outputs(self, execution: mlmd.Execution) -> dict[str, list[mlmd.Artifact]]:
        """Return what an execution left."""
        return self._artifacts(execution.id, _OUTPUTS)

    def stage_id(self, execution: mlmd.Execution) -> str:
        """Return the stage it was of."""
        return self._context(execution.id, "node").partition(".")[2]

    def run_id(self, execution: mlmd.Execution) -> str:
        """Return the run it was of."""
        return self._context(execution.id, "pipeline_run")

    def pipeline(self, execution: mlmd.Execution) -> str:
        """Return the pipeline it was of."""
        return self._context(execution.id, "pipeline")

    def finished(self, execution: mlmd.Execution) -> str:
        """Return when it had left its outputs; later changes of its record do not count."""
        times = [e.milliseconds_since_epoch for e in self._events_by(execution.id) if e.type in _OUTPUTS]
        return iso_time(max(times, default=execution.last_update_time_since_epoch))

    def in_run(self, execution: mlmd.Execution, stage_id: str) -> mlmd.Execution | None:
        """Return the execution of another stage in the same run."""
        (run,) = (c for c in self._store.get_contexts_by_execution(execution.id) if c.type == "pipeline_run")
        found = self._store.get_executions_by_context(run.id)
        return next((one for one in found if self.stage_id(one) == stage_id), None)

    def behind(self, artifacts: Collection[mlmd.Artifact], without: Collection[str]) -> list[mlmd.Execution]:
        """Return every execution that artifacts came from, directly or not, in the order they began.

        Args:
          artifacts: where to begin.
          without: channels not to follow.
        """
        pending, found = [artifact.id for artifact in artifacts], {}
        while pending:
            execution = self.producer(pending.pop())
            if execution is None or execution.id in found:
                continue
            found[execution.id] = execution
            read = self.inputs(execution)
            pending += [artifact.id for key, some in read.items() if key not in without for artifact in some]
        return sorted(found.values(), key=lambda one: (one.create_time_since_epoch, one.id))

    @functools.cache  # noqa: B019
    def _events_of(self, artifact_id: int) -> list[mlmd.Event]:
        return self._store.get_events_by_artifact_ids([artifact_id])

    @functools.cache  # noqa: B019
    def _events_by(self, execution_id: int) -> list[mlmd.Event]:
        return self._store.get_events_by_execution_ids([execution_id])

    @functools.cache  # noqa: B019
    def _context(self, execution_id: int, kind: str) -> str:
        return next((c.name for c in self._store.get_contexts_by_execution(execution_id) if c.type == kind), "")

    def _executions(self, ids: list[int]) -> list[mlmd.Execution]:
        found = self._store.get_executions_by_id(sorted(set(ids))) if ids else []
        return sorted(found, key=lambda one: (one.create_time_since_epoch, one.id))

    def _artifacts(self, execution_id: int, types: Collection[int]) -> dict[str, list[mlmd.Artifact]]:
        events = [e for e in self._events_by(execution_id) if e.type in types and e.path.steps]
        ids = sorted({e.artifact_id for e in events})
        artifacts = {a.id: a for a in (self._store.get_artifacts_by_id(ids) if ids else [])}
        named: dict[str, list[mlmd.Artifact]] = defaultdict(list)
        for event in sorted(events, key=lambda e: (e.path.steps[0].key, e.artifact_id)):
            named[event.path.steps[0].key].append(artifacts[event.artifact_id])
        return named


def texts(execution: mlmd.Execution) -> Iterator[tuple[str, str]]:
    """Yield the parameters of an execution that are texts."""
    for key, value in execution.custom_properties.items():
        if value.WhichOneof("value") == "string_value":
            yield key, value.string_value


def iso_time(milliseconds: int) -> str:
    """Return a time of ML Metadata as ISO 8601, in UTC."""
    return f"{datetime.fromtimestamp(milliseconds // 1000, timezone.utc):%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
