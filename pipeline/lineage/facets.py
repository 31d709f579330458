"""OpenLineage facets that fit what is known of a model, each with the version of its definition that it was written by.

The definitions: https://openlineage.io/spec/facets/. What no standard facet has room for goes into facets of our own, whose
names begin with `tfxPipeline_`, as the specification asks of custom ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pipeline.lineage.record import GateResult

Facet: TypeAlias = dict[str, Any]

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
PRODUCER = "urn:tfx-production-pipeline:lineage:1"
CUSTOM = "tfxPipeline"


def schema(columns: Mapping[str, str]) -> Facet:
    """Name the columns of a dataset and their types."""
    fields = [{"name": name, "type": kind} for name, kind in columns.items()]
    return _standard("SchemaDatasetFacet", "1-2-0", fields=fields)


def data_source(name: str, uri: str) -> Facet:
    """Say where a dataset lies."""
    return _standard("DatasourceDatasetFacet", "1-0-1", name=name, uri=uri)


def dataset_version(digest: str) -> Facet:
    """Say which content a dataset had."""
    return _standard("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=digest)


def input_metrics(rows: int, size_bytes: int | None) -> Facet:
    """Count what was read."""
    size = {} if size_bytes is None else {"bytes": size_bytes}
    return _standard("DataQualityMetricsInputDatasetFacet", "1-0-3", rowCount=rows, columnMetrics={}, **size)


def output_statistics(**counts: int | None) -> Facet:
    """Count what was written: rowCount, size (bytes), fileCount; what is None is left out."""
    known = {name: count for name, count in counts.items() if count is not None}
    return _standard("OutputStatisticsOutputDatasetFacet", "1-0-2", **known)


def assertions(gates: Iterable[GateResult]) -> Facet:
    """Say which gates looked at an evaluation, and what they found."""
    return _standard("DataQualityAssertionsDatasetFacet", "1-1-0", assertions=[_assertion(gate) for gate in gates])


def _assertion(gate: GateResult) -> dict[str, Any]:
    found = {"assertion": "gate", "success": gate.passed, "severity": "error", "name": gate.name, "expected": gate.bound}
    actual = {} if gate.value is None else {"actual": str(gate.value)}
    return found | actual | ({"params": {"slice": gate.slice}} if gate.slice else {})


def nominal_time(start: str) -> Facet:
    """Say when the run was due: when it was started."""
    return _standard("NominalTimeRunFacet", "1-0-1", nominalStartTime=start)


def parent_run(run_id: str, namespace: str, name: str) -> Facet:
    """Name the pipeline run that a stage was of."""
    return _standard("ParentRunFacet", "1-2-0", run={"runId": run_id}, job={"namespace": namespace, "name": name})


def processing_engine(name: str, version: str) -> Facet:
    """Say what ran it."""
    return _standard("ProcessingEngineRunFacet", "1-1-1", name=name, version=version)


def execution_parameters(values: Mapping[str, Any]) -> Facet:
    """Name parameters; values that are no texts are JSON."""
    named = [{"key": key, "value": value if isinstance(value, str) else json.dumps(value)} for key, value in values.items()]
    return _standard("ExecutionParametersRunFacet", "1-0-0", parameters=named)


def job_type(kind: str) -> Facet:
    """Say what kind of job it is."""
    return _standard("JobTypeJobFacet", "2-0-4", processingType="BATCH", integration="TFX", jobType=kind)


def custom(base: str, /, **values: Any) -> Facet:
    """Make a facet of our own.

    Args:
      base: what it is a facet of, by the specification's name: RunFacet, JobFacet, DatasetFacet.
      values: what it says.
    """
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}#/$defs/{base}"} | values


def _standard(definition: str, release: str, /, **values: Any) -> Facet:
    url = f"https://openlineage.io/spec/facets/{release}/{definition}.json#/$defs/{definition}"
    return {"_producer": PRODUCER, "_schemaURL": url} | values
