"""What executions and their artifacts say of the data, its schema, the transform and the training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from google.protobuf import text_format
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.artifacts import SCHEMA_FILE, ingest_report_path, training_report_path
from pipeline.lineage.files import RootFiles, text_digest
from pipeline.lineage.provenance import texts
from pipeline.lineage.record import Data, DataSchema, InputFile, Training, Transform

INFERRED = "inferred"


def parameters(execution: mlmd.Execution) -> dict[str, Any]:
    """Return what an execution was given by the graph, wherever its component keeps it: texts, `settings` as values."""
    given: dict[str, Any] = dict(texts(execution))
    if "custom_config" in given:
        custom = json.loads(given["custom_config"]) or {}
        # ExampleGen's is a protocol buffer.
        given |= custom["custom_config"].get("value", {}) if "custom_config" in custom else custom
    given["settings"] = json.loads(given["settings"]) if given.get("settings") else {}
    return given


def code_digest(execution: mlmd.Execution) -> str | None:
    """Return the digest of the code that an execution ran, None of TFX's own components."""
    given = parameters(execution)
    return given.get("code_digest") or given["settings"].get("code_digest")


def data(execution: mlmd.Execution, examples: mlmd.Artifact, files: RootFiles) -> Data:
    """Describe what ExampleGen read."""
    given = parameters(execution)
    report = files.read_json(ingest_report_path(examples.uri))
    return Data(
        kind=given["settings"].get("kind") or execution.type.rpartition(".")[2],
        base=given.get("input_base"),
        pattern=_pattern(given),
        span=_number(examples, "span"),
        version=_number(examples, "version"),
        sha256=report.get("sha256"),
        files=tuple(InputFile(**file | {"path": files.relative(file["path"])}) for file in report.get("files", ())),
        examples=report.get("examples", {}),
        quarantined=report.get("num_quarantined", 0),
    )


def schema(execution: mlmd.Execution, artifact: mlmd.Artifact, files: RootFiles) -> DataSchema:
    """Describe a schema, curated or inferred."""
    text = files.read_text(os.path.join(artifact.uri, SCHEMA_FILE))
    parsed = text_format.Parse(text or "", schema_pb2.Schema())
    given = parameters(execution)
    return DataSchema(
        source=given.get("source") or ("curated" if "text" in given else INFERRED),
        sha256=text_digest(text) if text else None,
        columns={feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in parsed.feature},
    )


def transform(execution: mlmd.Execution, graph: mlmd.Artifact, files: RootFiles) -> Transform:
    """Describe a transform; on Beam its settings stand alone, without those of our own component around them."""
    settings = parameters(execution)["settings"]
    settings = settings.get("transform", settings)
    content = files.content(graph.uri)
    return Transform(
        module=settings["transform_module"],
        sha256=content.sha256 if content else None,
        features={name: feature["kind"] for name, feature in settings["features"].items()},
    )


def training(execution: mlmd.Execution, model: mlmd.Artifact, files: RootFiles) -> Training:
    """Describe the training: what was asked for, what came of it."""
    settings = parameters(execution)["settings"]
    report = files.read_json(training_report_path(model.uri))
    return Training(
        module=settings["model_module"],
        label=settings["label"],
        # With what a search found; reports of earlier versions do not say it.
        model=report.get("model", settings["model"]),
        fit=report.get("fit", settings["fit"]),
        **{key: report.get(key) for key in ("strategy", "epochs", "examples", "parameters")},
    )


def _pattern(given: Mapping[str, Any]) -> str:
    splits = json.loads(given.get("input_config") or "{}").get("splits", [{}])
    return splits[0].get("pattern", "")


def _number(artifact: mlmd.Artifact, name: str) -> int | None:
    """Return a number that ExampleGen's driver left: an integer, or a text in earlier versions of TFX."""
    if name not in artifact.custom_properties:
        return None
    value = artifact.custom_properties[name]
    return int(value.string_value or value.int_value)
