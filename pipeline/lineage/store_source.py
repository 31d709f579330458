"""The lineage of a pushed model out of ML Metadata and the artifacts it names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.lineage import describing, judging
from pipeline.lineage.files import RootFiles
from pipeline.lineage.provenance import Provenance, iso_time
from pipeline.lineage.pushes import BASELINE, Push, Pushes
from pipeline.lineage.record import ArtifactFact, Edge, Lineage, ModelName, PushedModel, RunFacts, Stage
from pipeline.local.run_folder import SUMMARY_FILE, run_folder


class StoreSource:
    """Knows every version that was ever pushed, as long as the store is there."""

    def __init__(self, store: MetadataStore, root: Path):
        """Read a root's store."""
        self._root, self._provenance = root, Provenance(store)
        self._pushes = Pushes(self._provenance)

    @property
    def names(self) -> list[ModelName]:
        """The versions it knows, sorted."""
        return self._pushes.names

    def read(self, name: ModelName) -> Lineage:
        """Return the lineage of a version."""
        recorded_root = self._pushes.of(name)[-1].destination.removesuffix(f"/{name}")
        files = RootFiles(self._root, recorded_root)
        push = self._pushes.first(name, files)
        return _Reading(self._root, self._provenance, self._pushes, push, files).lineage()


class _Reading:
    """One version, walked backwards from its push."""

    def __init__(self, root: Path, provenance: Provenance, pushes: Pushes, push: Push, files: RootFiles):
        self._root, self._provenance, self._pushes, self._push, self._files = root, provenance, pushes, push, files
        self._run_id = provenance.run_id(push.execution)
        self._gate = pushes.gate(push)

    def lineage(self) -> Lineage:
        compressor, model = self._compressor_and_model()
        trainer = self._made(model)
        (graph,) = self._provenance.inputs(trainer)["transform_graph"]
        transform = self._made(graph)
        (examples,) = self._provenance.inputs(transform)["examples"]
        (schema,) = self._provenance.inputs(transform)["schema"]
        (report,) = self._provenance.outputs(self._gate)["report"]
        edge = self._edge(compressor, model) if compressor else None
        executions = self._executions(transform)
        return Lineage(
            pipeline=self._provenance.pipeline(self._push.execution),
            pushed=self._pushed(),
            run=self._run(),
            data=describing.data(self._made(examples), examples, self._files),
            data_schema=describing.schema(self._made(schema), schema, self._files),
            transform=describing.transform(transform, graph, self._files),
            training=describing.training(trainer, model, self._files),
            evaluation=judging.evaluation(report, self._files),
            edge=edge,
            parents=tuple(self._pushes.ancestors(self._gate)),
            stages=tuple(self._stage(execution) for execution in executions),
            artifacts=self._artifacts(executions),
            missing=self._files.missing,
        )

    def _compressor_and_model(self) -> tuple[mlmd.Execution | None, mlmd.Artifact]:
        source = self._pushes.source(self._push)
        if self._push.name.kind == "saved_model":
            return None, source
        compressor = self._made(source)
        (model,) = self._provenance.inputs(compressor)["model"]
        return compressor, model

    def _made(self, artifact: mlmd.Artifact) -> mlmd.Execution:
        execution = self._provenance.producer(artifact.id)
        assert execution is not None, f"nothing made {artifact.uri}"
        return execution

    def _edge(self, compressor: mlmd.Execution, model: mlmd.Artifact) -> Edge:
        artifact = self._pushes.source(self._push)
        return judging.edge(compressor, artifact, self._pushes.ancestor(model), self._files)

    def _pushed(self) -> PushedModel:
        name, content = self._push.name, self._files.content(self._push.destination)
        runs = [self._provenance.run_id(push.execution) for push in self._pushes.of(name)]
        return PushedModel(
            path=str(name),
            kind=name.kind,
            version=name.version,
            time=self._provenance.finished(self._push.execution),
            run_id=self._run_id,
            again=tuple(runs[runs.index(self._run_id) + 1 :]),
            **(content._asdict() if content else {}),
        )

    def _run(self) -> RunFacts:
        file = run_folder(self._root, self._run_id) / SUMMARY_FILE
        return RunFacts(**json.loads(file.read_text("utf-8"))) if file.exists() else RunFacts()

    def _executions(self, transform: mlmd.Execution) -> list[mlmd.Execution]:
        """Return what the version came from, and what let its data pass: no artifact leads from DataGate to Transform."""
        guard = self._provenance.in_run(transform, "DataGate")
        approvals = self._provenance.outputs(guard).get("approval", []) if guard else []
        pushed = [artifact for some in self._provenance.outputs(self._push.execution).values() for artifact in some]
        return self._provenance.behind([*pushed, *approvals], without=(BASELINE,))

    def _stage(self, execution: mlmd.Execution) -> Stage:
        read, left = self._provenance.inputs(execution), self._provenance.outputs(execution)
        return Stage(
            id=self._provenance.stage_id(execution),
            run_id=self._provenance.run_id(execution),
            started=iso_time(execution.create_time_since_epoch),
            finished=self._provenance.finished(execution),
            code_digest=describing.code_digest(execution),
            inputs={key: _ids(some) for key, some in read.items()},
            outputs={key: _ids(some) for key, some in left.items()},
        )

    def _artifacts(self, executions: Sequence[mlmd.Execution]) -> tuple[ArtifactFact, ...]:
        found: dict[int, mlmd.Artifact] = {}
        for execution in executions:
            for named in (self._provenance.inputs(execution), self._provenance.outputs(execution)):
                found |= {artifact.id: artifact for some in named.values() for artifact in some}
        relative = self._files.relative
        return tuple(ArtifactFact(id=a.id, type=a.type, uri=relative(a.uri)) for _, a in sorted(found.items()))


def _ids(artifacts: Sequence[mlmd.Artifact]) -> tuple[int, ...]:
    return tuple(artifact.id for artifact in artifacts)
