"""The package a device team gets: model.tflite, metadata.json, vocabularies, labels, checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow_transform as tft

from models.compression.plan import Problem
from models.compression.report import Compressed, VariantReport
from pipeline.edge_runner import predict
from pipeline.entrypoints.training import TrainSettings
from pipeline.json_text import to_json
from preprocessing.description import describe, vocabularies, vocabulary_file
from preprocessing.features import EncodedFeature
from preprocessing.labels import class_names

MODEL_FILE = "model.tflite"
RAW_MODEL_FILE = "raw_model.tflite"
METADATA_FILE = "metadata.json"
LABELS_FILE = "labels.txt"
RUNNER_FILE = "predict.py"
CHECKSUM_FILE = "SHA256SUMS"


def write_package(
    compressed: Compressed, problem: Problem, settings: TrainSettings, transform: tft.TFTransformOutput, run_id: str
) -> dict[str, bytes]:
    """Return the package as {file name: content}.

    Args:
      compressed: with a chosen variant.
      problem: what was compressed.
      settings: features and label.
      transform: gives vocabularies and learned constants.
      run_id: of the run that made the model.
    """
    reports = {report.name: report for report in compressed.reports}
    chosen, classes = reports[compressed.chosen or ""], class_names(settings.label, transform)
    files = {MODEL_FILE: compressed.content(chosen.name)}
    metadata = {
        "schema_version": 1,
        **_inputs_and_outputs(chosen, problem.features),
        "missing_values": "no value, an empty text and NaN are missing; a categorical number is looked up as text, 3.0 as '3'",
        "features": describe(settings.features, transform),
        "label": {"column": settings.label.column, "kind": settings.label.kind, "classes": list(classes)},
        "output": _output_meaning(settings.label.kind, classes),
        "variant": chosen.name,
        "techniques": list(chosen.techniques),
        "metrics": dict(chosen.metrics),
        "run_id": run_id,
    }
    if compressed.chosen_raw:
        files[RAW_MODEL_FILE] = compressed.content(compressed.chosen_raw)
        metadata["raw_model"] = _raw_model(reports[compressed.chosen_raw])
    files |= {METADATA_FILE: to_json(metadata).encode(), RUNNER_FILE: Path(predict.__file__).read_bytes()}
    for name, values in vocabularies(settings.features, transform).items():
        files[vocabulary_file(name)] = _lines(values)
    if classes:
        files[LABELS_FILE] = _lines(classes)
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items())]
    return files | {CHECKSUM_FILE: _lines(sums)}


def _inputs_and_outputs(report: VariantReport, features: Sequence[EncodedFeature]) -> dict[str, Any]:
    """Return every input and output; an input says which transformed features it holds, side by side."""
    described = {role: [dict(entry) for entry in entries] for role, entries in report.interface.items()}
    widths = {feature.name: feature.width for feature in features}
    for entry in described["inputs"]:
        parts = report.layout.get(entry["name"], (entry["name"],))
        entry["features"] = [{"name": part, "width": widths[part]} for part in parts]
    return described


def _raw_model(report: VariantReport) -> dict[str, Any]:
    return {
        "file": RAW_MODEL_FILE,
        "takes": "raw columns; a missing value is NaN, the smallest int64, or an empty text",
        **report.interface,
        "variant": report.name,
        "techniques": list(report.techniques),
        "metrics": dict(report.metrics),
    }


def _output_meaning(kind: str, classes: Sequence[str]) -> str:
    if kind == "binary":
        return f"probability of class '{classes[1]}'"
    if kind == "multiclass":
        return "probability of each class, in the order of label.classes"
    return "the predicted number"


def _lines(values: Sequence[str]) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()
