"""A lineage as OpenLineage run events: one COMPLETE event for every execution that the model needed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.artifacts import EdgeModel
from pipeline.lineage import facets
from pipeline.lineage.facets import Facet
from pipeline.lineage.record import ArtifactFact, InputFile, Lineage, Stage

JsonObject: TypeAlias = dict[str, Any]

NAMESPACE = "tfx-pipeline"
_RUN_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z.*")
_URL = re.compile(r"(?P<namespace>\w+://[^/]+)/(?P<name>.*)")


def run_events(lineage: Lineage, root: Path) -> Iterator[JsonObject]:
    """Yield the events, in the order of their stages.

    Args:
      lineage: of a model.
      root: of its pipeline, for the paths of datasets.
    """
    events = _Events(lineage, root)
    for stage in lineage.stages:
        yield events.of(stage)


def event_id(*parts: str) -> str:
    """Return the UUID of a run, or of a stage of it: always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join([facets.PRODUCER, *parts])))


class _Events:
    def __init__(self, lineage: Lineage, root: Path):
        self._lineage, self._root = lineage, root
        self._artifacts = {artifact.id: artifact for artifact in lineage.artifacts}

    def of(self, stage: Stage) -> JsonObject:
        files = [self._file(file) for file in self._lineage.data.files] if stage.id == "ExampleGen" else []
        inputs = [self._input(i, stage) for ids in stage.inputs.values() for i in ids]
        return {
            "eventType": "COMPLETE",
            "eventTime": stage.finished,
            "producer": facets.PRODUCER,
            "schemaURL": f"{facets.SPEC}#/$defs/RunEvent",
            "run": {"runId": event_id(stage.run_id, stage.id), "facets": self._run_facets(stage)},
            "job": {
                "namespace": NAMESPACE,
                "name": f"{self._lineage.pipeline}.{stage.id}",
                "facets": self._job_facets(stage),
            },
            "inputs": [*files, *inputs],
            "outputs": [self._output(key, i) for key, ids in stage.outputs.items() for i in ids],
        }

    def _run_facets(self, stage: Stage) -> dict[str, Facet]:
        lineage = self._lineage
        found = {
            "parent": facets.parent_run(event_id(stage.run_id), NAMESPACE, lineage.pipeline),
            f"{facets.CUSTOM}_execution": facets.custom(
                "RunFacet", runId=stage.run_id, started=stage.started, finished=stage.finished
            ),
        }
        if match := _RUN_TIME.fullmatch(stage.run_id):
            found["nominalTime"] = facets.nominal_time(f"{match[1]}T{match[2]}:{match[3]}:{match[4]}Z")
        if version := lineage.run.versions.get("tfx"):
            found["processing_engine"] = facets.processing_engine("TFX", version)
        if stage.id == "Trainer":
            training = lineage.training
            asked = {"model": training.model, "fit": training.fit}
            values = {f"{part}.{key}": value for part, some in asked.items() for key, value in some.items()}
            found["executionParameters"] = facets.execution_parameters({"module": training.module} | values)
        if stage.id == "Evaluator":
            found[f"{facets.CUSTOM}_metrics"] = facets.custom("RunFacet", **lineage.evaluation.metrics)
        return found

    def _job_facets(self, stage: Stage) -> dict[str, Facet]:
        found = {"jobType": facets.job_type("TASK")}
        if stage.code_digest:
            found[f"{facets.CUSTOM}_code"] = facets.custom("JobFacet", digest=stage.code_digest, language="python")
        return found

    def _file(self, file: InputFile) -> JsonObject:
        """Return a data file as an input."""
        dataset = self._dataset(file.path)
        dataset["facets"]["schema"] = facets.schema(self._lineage.data_schema.columns)
        if file.sha256:
            dataset["facets"]["version"] = facets.dataset_version(f"sha256:{file.sha256}")
        return dataset | {"inputFacets": {"dataQualityMetrics": facets.input_metrics(file.rows, file.size_bytes)}}

    def _input(self, artifact_id: int, stage: Stage) -> JsonObject:
        artifact = self._artifacts[artifact_id]
        dataset, edge = self._artifact(artifact), self._lineage.edge
        if stage.id == "ModelGate" and artifact.type == "ModelEvaluation":
            gates = self._lineage.evaluation.gates
        elif stage.id == "EdgePusher" and artifact.type == EdgeModel.TYPE_NAME and edge:
            gates = tuple(gate for variant in edge.variants for gate in variant.gates)
        else:
            return dataset
        return dataset | {"inputFacets": {"dataQualityAssertions": facets.assertions(gates)}}

    def _output(self, key: str, artifact_id: int) -> JsonObject:
        pushed, data = self._lineage.pushed, self._lineage.data
        if key in ("pushed_model", "pushed_edge_model"):
            dataset = self._dataset(pushed.path)
            if pushed.sha256:
                dataset["facets"]["version"] = facets.dataset_version(f"sha256:{pushed.sha256}")
            counts = facets.output_statistics(size=pushed.size_bytes, fileCount=pushed.num_files)
            return dataset | {"outputFacets": {"outputStatistics": counts}}
        dataset = self._artifact(self._artifacts[artifact_id])
        if key == "examples":
            counts = facets.output_statistics(rowCount=sum(data.examples.values()))
            splits = facets.custom("OutputDatasetFacet", rows=data.examples, quarantined=data.quarantined)
            dataset["outputFacets"] = {"outputStatistics": counts, f"{facets.CUSTOM}_splits": splits}
        return dataset

    def _artifact(self, artifact: ArtifactFact) -> JsonObject:
        """Return an artifact as a dataset, with what is known of its content."""
        lineage, dataset = self._lineage, self._dataset(artifact.uri)
        found = dataset["facets"]
        found[f"{facets.CUSTOM}_artifact"] = facets.custom("DatasetFacet", id=artifact.id, type=artifact.type)
        digests = {"Schema": lineage.data_schema.sha256, "TransformGraph": lineage.transform.sha256}
        if digest := digests.get(artifact.type):
            found["version"] = facets.dataset_version(f"sha256:{digest}")
        if artifact.type == "Schema" or (artifact.type == "Examples" and "/ExampleGen/" in artifact.uri):
            found["schema"] = facets.schema(lineage.data_schema.columns)
        return dataset

    def _dataset(self, path: str) -> JsonObject:
        """Name a dataset as the specification has it: the bucket and the key, or `file` and the path."""
        if match := _URL.fullmatch(path):
            return match.groupdict() | {"facets": {"dataSource": facets.data_source(match["namespace"], path)}}
        full = str(self._root / path)
        return {"namespace": "file", "name": full, "facets": {"dataSource": facets.data_source("file", Path(full).as_uri())}}
