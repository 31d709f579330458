"""What was measured and judged, and how the edge model was chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.artifacts import EDGE_REPORT_FILE, GATES_FILE
from pipeline.lineage.describing import parameters
from pipeline.lineage.files import RootFiles
from pipeline.lineage.record import Ancestor, Edge, EdgeVariant, Evaluation, GateResult

_RAW = " (raw inputs)"  # as summary.json has it


def evaluation(report: mlmd.Artifact, files: RootFiles) -> Evaluation:
    """Describe what ModelGate saw and said."""
    content = files.read_json(os.path.join(report.uri, GATES_FILE))
    gates = [GateResult(**result) for result in content.get("gates", ())]
    return Evaluation(metrics=content.get("metrics", {}), num_slices=len(content.get("slices", ())), gates=tuple(gates))


def edge(execution: mlmd.Execution, artifact: mlmd.Artifact, float_model: Ancestor, files: RootFiles) -> Edge:
    """Describe the Compressor's choice."""
    report = files.read_json(os.path.join(artifact.uri, EDGE_REPORT_FILE))
    recipes = {recipe["name"]: recipe for recipe in parameters(execution)["settings"]["compression"]["recipes"]}
    variants = {variant["name"]: variant for variant in report.get("variants", ())}
    chosen, chosen_raw = (_variant(variants.get(report.get(key, "")), recipes) for key in ("chosen", "chosen_raw"))
    return Edge(float_model=float_model, chosen=chosen, chosen_raw=chosen_raw)


def _variant(variant: Mapping[str, Any] | None, recipes: Mapping[str, dict[str, Any]]) -> EdgeVariant | None:
    if variant is None:
        return None
    suffix = _RAW if variant["inputs"] == "raw" else ""
    gates = [gate | {"name": f"{gate['name']}{suffix}"} for gate in variant["gates"]]
    return EdgeVariant(**{**variant, "gates": gates, "recipe": recipes.get(variant["name"])})
