"""The package a device team gets: model.tflite, metadata.json, vocabularies, labels, checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import tensorflow_transform as tft

from models.compression.report import VariantReport
from models.compression.tflite import EdgeModel
from pipeline.entrypoints.training import TrainSettings
from preprocessing.description import describe, vocabularies, vocabulary_file

MODEL_FILE = "model.tflite"
METADATA_FILE = "metadata.json"
LABELS_FILE = "labels.txt"
CHECKSUM_FILE = "SHA256SUMS"


def write_package(
    content: bytes,
    report: VariantReport,
    settings: TrainSettings,
    transform: tft.TFTransformOutput,
    classes: Sequence[str],
    run_id: str,
) -> dict[str, bytes]:
    """Return the package as {file name: content}.

    Args:
      content: the flatbuffer.
      report: what was measured on it.
      settings: features and label.
      transform: gives vocabularies and learned constants.
      classes: class names in the order of the scores; empty for regression.
      run_id: of the run that made the model.
    """
    metadata = {
        "schema_version": 1,
        **EdgeModel(content).describe(),
        "missing_values": "no value, an empty text and NaN are missing; a categorical number is looked up as text, 3.0 as '3'",
        "features": describe(settings.features, transform),
        "label": {"column": settings.label.column, "kind": settings.label.kind, "classes": list(classes)},
        "output": _output_meaning(settings.label.kind, classes),
        "variant": report.name,
        "techniques": list(report.techniques),
        "metrics": dict(report.metrics),
        "run_id": run_id,
    }
    files = {MODEL_FILE: content, METADATA_FILE: json.dumps(metadata, indent=1).encode()}
    for name, values in vocabularies(settings.features, transform).items():
        files[vocabulary_file(name)] = _lines(values)
    if classes:
        files[LABELS_FILE] = _lines(classes)
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items())]
    return files | {CHECKSUM_FILE: _lines(sums)}


def _output_meaning(kind: str, classes: Sequence[str]) -> str:
    if kind == "binary":
        return f"probability of class '{classes[1]}'"
    if kind == "multiclass":
        return "probability of each class, in the order of label.classes"
    return "the predicted number"


def _lines(values: Sequence[str]) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()
