"""Edge packages of small models, and the features they describe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.compression.tflite import EdgeModel
from preprocessing.description import vocabulary_file

NO_FLOAT = "Expected a finite 32-bit float, or nothing where it is missing."


def write_package(
    folder: Path,
    features: Sequence[Mapping[str, Any]],
    values: Mapping[str, Sequence[str]] | None = None,
    model: bytes = b"",
    classes: Sequence[str] = (),
    packed: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write what a pushed package holds of this; without a model its description is of one without inputs."""
    (folder / "vocabularies").mkdir(parents=True, exist_ok=True)
    for name, lines in (values or {}).items():
        (folder / vocabulary_file(name)).write_bytes("".join(f"{line}\n" for line in lines).encode())
    described = EdgeModel(model).describe() if model else {"inputs": [], "outputs": [{"shape": [-1, 1]}]}
    for record in described["inputs"] if packed else ():
        record["features"] = [{"name": name, "width": 1} for name in packed[record["name"]]]
    metadata = {**described, "features": features, "label": {"classes": list(classes)}}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "model.tflite").write_bytes(model)
    return folder


def flatbuffer(function: Callable[..., tf.Tensor], *specs: tf.TensorSpec, integer: bool = False) -> bytes:
    """Convert a function of named tensors; with `integer`, to one of int8 all through, calibrated on [-1, 1]."""
    concrete = tf.function(lambda **inputs: {"output": function(**inputs)}).get_concrete_function(**{s.name: s for s in specs})
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    if integer:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        examples = [{spec.name: np.full((1, spec.shape[1]), x, np.float32) for spec in specs} for x in (-1, 1)]
        converter.representative_dataset = lambda: iter(examples)
    return converter.convert()


def number_features(*names: str) -> list[dict[str, Any]]:
    """Numbers as they are: "a" becomes "a_xf" and "a_xf_missing"."""
    unit = {"kind": "numeric", "column_type": "number", "log": False, "mean": 0.0, "std": 1.0}
    return [{"feature": name, "inputs": [f"{name}_xf", f"{name}_xf_missing"], "column": name, **unit} for name in names]


def id_features(*names: str, num_values: int = 9) -> list[dict[str, Any]]:
    """Ids as they are, plus 1: "a" becomes "a_xf"."""
    own = {"kind": "integer_categorical", "column_type": "integer", "num_values": num_values}
    return [{"feature": name, "inputs": [f"{name}_xf"], "column": name, **own} for name in names]
