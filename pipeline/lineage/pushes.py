"""Which push made a version, and which models came before it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.artifacts import DESTINATION_PROPERTY, EDGE_PACKAGE_FOLDER
from pipeline.lineage.files import RootFiles
from pipeline.lineage.provenance import Provenance
from pipeline.lineage.record import Ancestor, ModelKind, ModelName

MOST_ANCESTORS = 10
BASELINE = "baseline_model"
# Of the two pushers: type of what they leave, channel they read the model from, folder in there that they copy.
_TYPES: dict[ModelKind, str] = {"saved_model": "PushedModel", "edge": "pipeline.PushedEdgeModel"}
_SOURCES: dict[ModelKind, tuple[str, str]] = {
    "saved_model": ("model", "Format-Serving"),
    "edge": ("edge_model", EDGE_PACKAGE_FOLDER),
}


class Push(NamedTuple):
    """An execution that pushed."""

    name: ModelName
    destination: str
    execution: mlmd.Execution


class Pushes:
    """All pushes a store knows of."""

    def __init__(self, provenance: Provenance):
        """Look them up."""
        self._provenance = provenance
        self._by_name: dict[ModelName, list[Push]] = {}
        for type_name in _TYPES.values():
            for artifact in provenance.of_type(type_name):
                if push := self._push(artifact):
                    self._by_name.setdefault(push.name, []).append(push)

    @property
    def names(self) -> list[ModelName]:
        """What was pushed, once each, sorted."""
        return sorted(self._by_name)

    def of(self, name: ModelName) -> list[Push]:
        """Return the pushes of a version, the oldest first: several that pushed the same bytes, or after it was removed."""
        return self._by_name[name]

    def source(self, push: Push) -> mlmd.Artifact:
        """Return what was pushed: a model of the Trainer or of the Compressor."""
        (artifact,) = self._provenance.inputs(push.execution)[_SOURCES[push.name.kind][0]]
        return artifact

    def first(self, name: ModelName, files: RootFiles) -> Push:
        """Return the push that made a version what it is now."""
        pushes = self.of(name)
        if len({self.source(push).id for push in pushes}) == 1:
            return pushes[0]
        content = files.content(pushes[-1].destination)
        for push in pushes:
            if content and content == files.content(os.path.join(self.source(push).uri, _SOURCES[name.kind][1])):
                return push
        return pushes[-1]

    def of_model(self, model: mlmd.Artifact) -> Push | None:
        """Return the first push of a trained model to the server's folder."""
        for execution in self._provenance.consumers(model.id, "Pusher"):
            for artifact in self._provenance.outputs(execution).get("pushed_model", ()):
                if push := self._push(artifact):
                    return push
        return None

    def gate(self, push: Push) -> mlmd.Execution:
        """Return the execution of ModelGate that let a push happen."""
        (blessing,) = self._provenance.inputs(push.execution)["model_blessing"]
        gate = self._provenance.producer(blessing.id)
        assert gate is not None  # pushers push nothing without a blessing
        return gate

    def ancestor(self, model: mlmd.Artifact) -> Ancestor:
        """Describe a trained model as what another came from."""
        trainer, push = self._provenance.producer(model.id), self.of_model(model)
        return Ancestor(
            model=str(push.name) if push else None,
            artifact=model.id,
            run_id=self._provenance.run_id(trainer) if trainer else "",
            trained=self._provenance.finished(trainer) if trainer else "",
            pushed=self._provenance.finished(push.execution) if push else None,
        )

    def ancestors(self, gate: mlmd.Execution) -> Iterator[Ancestor]:
        """Yield the model that a judged one was compared with, that which it was compared with, and so on."""
        seen: set[int] = set()
        while (baseline := self._baseline(gate, seen)) and len(seen) <= MOST_ANCESTORS:
            yield self.ancestor(baseline)
            push = self.of_model(baseline)
            gates = [self.gate(push)] if push else self._provenance.consumers(baseline.id, "ModelGate")
            if not gates:
                return
            gate = gates[0]

    def _baseline(self, gate: mlmd.Execution, seen: set[int]) -> mlmd.Artifact | None:
        """Return the baseline of the evaluation that a gate judged; nothing when that is the model itself."""
        read = self._provenance.inputs(gate)
        seen.update(artifact.id for artifact in read.get("model", ()))
        evaluator = self._provenance.producer(read["evaluation"][0].id)
        found: Sequence[mlmd.Artifact] = self._provenance.inputs(evaluator).get(BASELINE, ()) if evaluator else ()
        return next((artifact for artifact in found if artifact.id not in seen), None)

    def _push(self, artifact: mlmd.Artifact) -> Push | None:
        destination = artifact.custom_properties[DESTINATION_PROPERTY].string_value
        name, execution = ModelName.parse(destination), self._provenance.producer(artifact.id)
        return Push(name, destination, execution) if name and execution else None
