"""summary.json: what happened, for programs. Read from the stages' outputs, so it holds for reused stages too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tfx.types import standard_artifacts
from tfx.utils import io_utils

from pipeline.artifacts import (
    DESTINATION_PROPERTY,
    EDGE_REPORT_FILE,
    GATES_FILE,
    LATEST_SEARCH,
    TUNER,
    TUNING_SUMMARY_FILE,
)
from pipeline.components.data_gate import read_anomalies
from pipeline.components.example_gen import read_ingest_report
from pipeline.config import PipelineConfig


class Made(NamedTuple):
    """An output artifact.

    Attributes:
      uri: of its files.
      properties: what its stage wrote down of it, {name: value}.
    """

    uri: str
    properties: Mapping[str, Any]


class Outputs(Protocol):
    """Output artifacts of a run's stages, wherever they were run."""

    def get(self, stage_id: str, key: str) -> Made | None:
        """Return a stage's output, None when it has none."""


def summarize(outputs: Outputs, config: PipelineConfig, root: Path) -> dict[str, Any]:
    """Return the parts of summary.json that come out of the stages: data, metrics, slices, gates, edge, pushed."""
    judged = _read_json(outputs, "ModelGate", "report", GATES_FILE) or {"metrics": {}, "slices": [], "gates": []}
    edge = _edge(_read_json(outputs, "Compressor", "edge_model", EDGE_REPORT_FILE))
    gates = list(judged["gates"])
    if edge:
        gates += _edge_gates(edge)
    return {
        "data": _data(outputs),
        "metrics": judged["metrics"],
        "slices": judged["slices"],
        "gates": gates,
        "edge": edge,
        "tuning": _tuning(outputs),
        "pushed": {
            "saved_model": _pushed(outputs.get("Pusher", "pushed_model"), root),
            "edge": _pushed(outputs.get("EdgePusher", "pushed_edge_model"), root),
        },
    }


def _read_json(outputs: Outputs, stage_id: str, key: str, file: str) -> dict[str, Any] | None:
    """Return a JSON file inside a stage's output, None when there is none."""
    made = outputs.get(stage_id, key)
    return json.loads(io_utils.read_string_file(os.path.join(made.uri, file))) if made else None


def _tuning(outputs: Outputs) -> dict[str, Any] | None:
    """Return what the search of this run found, or of an earlier one whose hyperparameters were taken."""
    searched = _read_json(outputs, TUNER, "tuner_results", TUNING_SUMMARY_FILE)
    if searched:
        return searched | {"reused": False}
    earlier = _read_json(outputs, LATEST_SEARCH, "tuner_results", TUNING_SUMMARY_FILE)
    return earlier | {"reused": True} if earlier else None


def _data(outputs: Outputs) -> dict[str, Any]:
    examples = outputs.get("ExampleGen", "examples")
    report = read_ingest_report(examples.uri) if examples else {"examples": {}, "num_quarantined": 0}
    anomalies = outputs.get("ExampleValidator", "anomalies")
    return {
        "examples": report["examples"],
        "quarantined": report["num_quarantined"],
        "anomalies": read_anomalies(_as_tfx(anomalies)) if anomalies else [],
    }


def _as_tfx(made: Made) -> standard_artifacts.ExampleAnomalies:
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri, anomalies.split_names = made.uri, made.properties["split_names"]
    return anomalies


def _edge(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if report is None:
        return None
    reference = report["variants"][0]
    keys = ("name", "size_bytes", "gzip_bytes", "metrics", "latency_us")
    return {
        "reference": {key: reference[key] for key in keys},
        # The whole evidence stays in the artifact's report.
        "variants": [{key: value for key, value in v.items() if key not in ("evidence", "slices")} for v in report["variants"]],
        "chosen": report["chosen"],
        "chosen_raw": report["chosen_raw"],
    }


def _edge_gates(edge: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the gates that stand for all variants: those of the chosen one, or of the nearest miss; for raw inputs too."""
    shown: list[dict[str, Any]] = []
    for inputs, chosen in (("transformed", edge["chosen"]), ("raw", edge["chosen_raw"])):
        judged = {v["name"]: list(v["gates"]) for v in edge["variants"] if v["inputs"] == inputs}
        if not judged:
            continue
        nearest = min(judged, key=lambda name: (not judged[name], sum(not gate["passed"] for gate in judged[name])))
        gates = judged[chosen or nearest]
        if chosen is None and all(gate["passed"] for gate in gates):
            # Not a gate failed but the making of every variant.
            gates = [{"name": "edge model", "slice": None, "bound": "a variant that passes", "value": None, "passed": False}]
        shown += [gate | ({"name": f"{gate['name']} (raw inputs)"} if inputs == "raw" else {}) for gate in gates]
    return shown


def _pushed(made: Made | None, root: Path) -> str | None:
    destination = made.properties.get(DESTINATION_PROPERTY, "") if made else ""
    return os.path.relpath(destination, root) if destination else None
