"""summary.json: what happened, for programs. Read from ML Metadata and the artifacts, so it holds for reused stages too."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from models.compression.quantization import EdgeGate
from models.heads import Kind
from models.metrics import loss_of
from pipeline.artifacts import EDGE_REPORT_FILE, GATES_FILE
from pipeline.components.data_gate import read_anomalies
from pipeline.components.example_gen import read_ingest_report
from pipeline.components.publisher import DESTINATION_PROPERTY
from pipeline.config import PipelineConfig
from pipeline.local.execution import StageResult


class Outputs:
    """Output artifacts of a run's stages."""

    def __init__(self, store: MetadataStore, stages: Sequence[StageResult]):
        self._store = store
        self._executions = {s.id: s.execution_id for s in stages if s.execution_id and s.state in ("ran", "reused")}

    def get(self, stage_id: str, key: str) -> mlmd.Artifact | None:
        """Return a stage's output, None when it has none."""
        if stage_id not in self._executions:
            return None
        events = self._store.get_events_by_execution_ids([self._executions[stage_id]])
        ids = [e.artifact_id for e in events if e.type == mlmd.Event.OUTPUT and e.path.steps and e.path.steps[0].key == key]
        return self._store.get_artifacts_by_id(ids)[0] if ids else None

    def read_json(self, stage_id: str, key: str, file: str) -> dict[str, Any] | None:
        """Return a JSON file inside a stage's output, None when there is none."""
        artifact = self.get(stage_id, key)
        return json.loads(io_utils.read_string_file(os.path.join(artifact.uri, file))) if artifact else None


def summarize(outputs: Outputs, config: PipelineConfig, root: Path) -> dict[str, Any]:
    """Return the parts of summary.json that come out of the stages: data, metrics, slices, gates, edge, pushed."""
    judged = outputs.read_json("ModelGate", "report", GATES_FILE) or {"metrics": {}, "slices": [], "gates": []}
    edge = _edge(outputs.read_json("Compressor", "edge_model", EDGE_REPORT_FILE))
    gates = list(judged["gates"])
    if edge and config.compression:
        gates.append(_edge_gate(edge, config.label.kind, config.compression.gate))
    return {
        "data": _data(outputs),
        "metrics": judged["metrics"],
        "slices": judged["slices"],
        "gates": gates,
        "edge": edge,
        "pushed": {
            "saved_model": _pushed(outputs.get("Pusher", "pushed_model"), root),
            "edge": _pushed(outputs.get("EdgePusher", "pushed_edge_model"), root),
        },
    }


def _data(outputs: Outputs) -> dict[str, Any]:
    examples = outputs.get("ExampleGen", "examples")
    report = read_ingest_report(examples.uri) if examples else {"examples": {}, "num_quarantined": 0}
    anomalies = outputs.get("ExampleValidator", "anomalies")
    return {
        "examples": report["examples"],
        "quarantined": report["num_quarantined"],
        "anomalies": read_anomalies(_as_tfx(anomalies)) if anomalies else [],
    }


def _as_tfx(artifact: mlmd.Artifact) -> standard_artifacts.ExampleAnomalies:
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.set_mlmd_artifact(artifact)
    return anomalies


def _edge(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if report is None:
        return None
    reference = report["variants"][0]
    keys = ("name", "size_bytes", "gzip_bytes", "metrics", "latency_us")
    return {
        "reference": {key: reference[key] for key in keys},
        "variants": report["variants"],
        "chosen": report["chosen"],
    }


def _edge_gate(edge: Mapping[str, Any], kind: Kind, gate: EdgeGate) -> dict[str, Any]:
    """Return the gate that stands for all variants: the loss of the chosen one, or of the nearest miss."""
    reference = edge["reference"]["metrics"].get(gate.metric)
    values = {v["name"]: v["metrics"].get(gate.metric) for v in edge["variants"]}
    losses = {n: loss_of(kind, gate.metric, v, reference) for n, v in values.items() if None not in (v, reference)}
    finite = {name: loss for name, loss in losses.items() if math.isfinite(loss)}
    value = finite.get(edge["chosen"] or "", min(finite.values(), default=None))
    size = f" within {gate.max_size_bytes:,} bytes" if gate.max_size_bytes else ""
    return {
        "name": f"edge {gate.metric} loss",
        "slice": None,
        "bound": f"<= {gate.max_loss:g}{size}",
        "value": None if value is None else round(value, 6),
        "passed": edge["chosen"] is not None,
    }


def _pushed(artifact: mlmd.Artifact | None, root: Path) -> str | None:
    destination = artifact.custom_properties[DESTINATION_PROPERTY].string_value if artifact else ""
    return os.path.relpath(destination, root) if destination else None
