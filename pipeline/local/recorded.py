"""Output artifacts of a local run's stages, as ML Metadata has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.local.results import StageResult
from pipeline.local.summary import Made

# A resolver's are internal: it made nothing.
_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)


class RecordedOutputs:
    """What ML Metadata has of a run's stages."""

    def __init__(self, store: MetadataStore, stages: Sequence[StageResult]):
        self._store = store
        self._executions = {s.id: s.execution_id for s in stages if s.execution_id and s.state in ("ran", "reused")}

    def get(self, stage_id: str, key: str) -> Made | None:
        """Return a stage's output, None when it has none."""
        if stage_id not in self._executions:
            return None
        events = self._store.get_events_by_execution_ids([self._executions[stage_id]])
        ids = [e.artifact_id for e in events if e.type in _OUTPUTS and e.path.steps and e.path.steps[0].key == key]
        if not ids:
            return None
        artifact = self._store.get_artifacts_by_id(ids)[0]
        return Made(artifact.uri, {**_values(artifact.properties), **_values(artifact.custom_properties)})


def _values(properties: Any) -> dict[str, Any]:
    return {name: getattr(value, value.WhichOneof("value")) for name, value in properties.items() if value.WhichOneof("value")}
