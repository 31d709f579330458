"""A real store of ML Metadata with hand-made runs: trainings, gates and pushes without the seconds they take."""

from __future__ import annotations

import itertools
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

PIPELINE = "mini"


class SmallStore:
    """Writes what the stages of a run would have."""

    def __init__(self, root: Path):
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(root / "metadata.db")
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._root, self._store, self._clock = root, MetadataStore(config), itertools.count(1_700_000_000_000, 1000)

    def train(self, run_id: str, content: str) -> mlmd.Artifact:
        """Leave a model of this content."""
        return self.execute(run_id, "Trainer", {}, {"model": ("Model", content)})["model"]

    def judge(self, run_id: str, model: mlmd.Artifact, baseline: mlmd.Artifact | None = None) -> mlmd.Artifact:
        """Compare a model with another; return its blessing."""
        read = {"model": model} | ({"baseline_model": baseline} if baseline else {})
        evaluation = self.execute(run_id, "Evaluator", read, {"evaluation": ("ModelEvaluation", "")})["evaluation"]
        left = {"blessing": ("ModelBlessing", ""), "report": ("pipeline.GateReport", "")}
        return self.execute(run_id, "ModelGate", {"model": model, "evaluation": evaluation}, left)["blessing"]

    def push(self, run_id: str, model: mlmd.Artifact, blessing: mlmd.Artifact, version: int | None) -> None:
        """Push a model, or not."""
        destination = f"{self._root}/pushed/saved_model/{version}" if version else ""
        read = {"model": model, "model_blessing": blessing}
        self.execute(run_id, "Pusher", read, {"pushed_model": ("PushedModel", "")}, pushed_destination=destination)
        if version:
            source = Path(model.uri, "Format-Serving", "saved_model.pb")
            target = Path(destination, "saved_model.pb")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())

    def execute(
        self,
        run_id: str,
        stage_id: str,
        read: dict[str, mlmd.Artifact],
        left: dict[str, tuple[str, str]],
        **properties: str,
    ) -> dict[str, mlmd.Artifact]:
        """Record an execution that left artifacts {channel: (type, content)} with some custom properties."""
        kind = self._store.put_execution_type(mlmd.ExecutionType(name=f"Some{stage_id}"))
        execution = mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.COMPLETE)
        (execution.id,) = self._store.put_executions([execution])
        made = {key: self._artifact(type_name, content, properties) for key, (type_name, content) in left.items()}
        # ML Metadata keeps one event of an artifact and an execution: TFX's last one.
        once = {artifact.id: key for key, artifact in read.items()}
        events = [self._event(execution.id, artifact_id, key, mlmd.Event.INPUT) for artifact_id, key in once.items()]
        events += [self._event(execution.id, a.id, key, mlmd.Event.OUTPUT) for key, a in made.items()]
        self._store.put_events(events)
        contexts = {"pipeline": PIPELINE, "pipeline_run": run_id, "node": f"{PIPELINE}.{stage_id}"}
        ids = [self._context(type_name, name) for type_name, name in contexts.items()]
        self._store.put_attributions_and_associations(
            [], [mlmd.Association(execution_id=execution.id, context_id=context_id) for context_id in ids]
        )
        return made

    def _artifact(self, type_name: str, content: str, properties: dict[str, str]) -> mlmd.Artifact:
        artifact = mlmd.Artifact(type_id=self._store.put_artifact_type(mlmd.ArtifactType(name=type_name)))
        artifact.uri = str(self._root / "artifacts" / type_name / str(next(self._clock)))
        for name, value in properties.items():
            artifact.custom_properties[name].string_value = value
        if content:
            file = Path(artifact.uri, "Format-Serving", "saved_model.pb")
            file.parent.mkdir(parents=True)
            file.write_text(content)
        (artifact.id,) = self._store.put_artifacts([artifact])
        return artifact

    def _event(self, execution_id: int, artifact_id: int, key: str, kind: mlmd.Event.Type.ValueType) -> mlmd.Event:
        event = mlmd.Event(execution_id=execution_id, artifact_id=artifact_id, type=kind)
        event.milliseconds_since_epoch = next(self._clock)
        event.path.steps.add(key=key)
        return event

    def _context(self, type_name: str, name: str) -> int:
        context = mlmd.Context(type_id=self._store.put_context_type(mlmd.ContextType(name=type_name)), name=name)
        known = self._store.get_context_by_type_and_name(type_name, name)
        return known.id if known else self._store.put_contexts([context])[0]
