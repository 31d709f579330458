"""What a user may mean by a model: a version, a folder of versions, a root, a `.tflite`; and what it asks of a row."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipeline.errors import ConfigError
from pipeline.ingest.source import open_file
from pipeline.remote import is_remote

ColumnType: TypeAlias = Literal["text", "integer", "number"]
Kind: TypeAlias = Literal["SavedModel", "edge package", "edge model with raw inputs"]

# As models.serving and pipeline.edge_package spell them, which import TensorFlow.
RAW_FEATURES_FILE = "assets.extra/raw_features.json"
SAVED_MODEL_FILE, METADATA_FILE, EDGE_MODEL_FILE = "saved_model.pb", "metadata.json", "model.tflite"
_TYPES_OF_INPUTS: Mapping[str, ColumnType] = {"bytes": "text", "int64": "integer", "float32": "number"}
_EXPECTED = (
    "Expected a pushed version (<root>/pushed/saved_model/1, <root>/pushed/edge/1), the folder above it, the root of a run, "
    "or a .tflite beside its metadata.json."
)


@dataclass(frozen=True)
class Column:
    """What a model reads: the type it was trained with, and whether it cannot do without a value."""

    type: ColumnType
    required: bool = False


@dataclass(frozen=True)
class PushedModel:
    """A model and what it asks of a row.

    Attributes:
      path: folder of the SavedModel or of the edge package.
      kind: what is in it.
      columns: {raw column: what it holds}, all that are read.
      classes: names in the order of the scores; empty for regression.
      file: of an edge package, which model.
    """

    path: str
    kind: Kind
    columns: Mapping[str, Column]
    classes: tuple[str, ...]
    file: str = ""

    def __hash__(self) -> int:
        """Hash what tells one model from another."""
        return hash((self.path, self.file))


def find_model(path: str) -> PushedModel:
    """Find the model that a path leads to: the newest of several versions, of a root its newest SavedModel.

    Raises:
      ConfigError: there is none, or it does not say what it asks of a row.
    """
    if path.endswith(".tflite"):
        folder, file = os.path.split(path)
        if not _names(folder or ".").intersection([file]):
            raise ConfigError(f"--model: {path} does not exist. {_EXPECTED}")
        return _edge_model(folder or ".", file)
    path, names = path.rstrip("/") or path, _names(path)
    if SAVED_MODEL_FILE in names:
        return _saved_model(path)
    if {METADATA_FILE, EDGE_MODEL_FILE} <= names:
        return _edge_model(path, EDGE_MODEL_FILE)
    if versions := [int(name) for name in names if name.isdigit()]:
        return find_model(f"{path}/{max(versions)}")
    for below in ("pushed", "saved_model"):  # of a root, of its folder of pushed models
        if below in names:
            return find_model(f"{path}/{below}")
    what = "holds no pushed model" if names else "does not exist, or is empty"
    raise ConfigError(f"--model: {path} {what}. {_EXPECTED}")


def _saved_model(path: str) -> PushedModel:
    file = f"{path}/{RAW_FEATURES_FILE}"
    described = _read_json(
        file, f"{path} has no {RAW_FEATURES_FILE}, so nobody knows which columns it reads. Run its pipeline again."
    )
    columns = {name: Column(column["type"], column["required"]) for name, column in described["columns"].items()}
    return PushedModel(path, "SavedModel", columns, tuple(described["classes"]))


def _edge_model(folder: str, file: str) -> PushedModel:
    metadata = _read_json(f"{folder}/{METADATA_FILE}", f"{folder}/{file} has no {METADATA_FILE} beside it. {_EXPECTED}")
    classes, raw = tuple(metadata["label"]["classes"]), metadata.get("raw_model", {})
    if file == raw.get("file"):
        columns = {record["name"]: Column(_TYPES_OF_INPUTS[record["dtype"]]) for record in raw["inputs"]}
        return PushedModel(folder, "edge model with raw inputs", columns, classes, file)
    if file != EDGE_MODEL_FILE:
        known = [EDGE_MODEL_FILE, *([raw["file"]] if raw else [])]
        raise ConfigError(
            f"--model: {folder}/{METADATA_FILE} does not describe {file}, but {' and '.join(known)}. Name one of them."
        )
    columns = {record["column"]: Column(record["column_type"]) for record in metadata["features"] if "column" in record}
    return PushedModel(folder, "edge package", columns, classes, file)


def _read_json(path: str, absent: str) -> Any:
    try:
        with open_file(path) as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--model: {path} is no JSON: {error}. Push the model again.") from error
    except _not_found(path) as error:
        raise ConfigError(f"--model: {absent}") from error


def _not_found(path: str) -> type[Exception]:
    if is_remote(path):
        import tensorflow as tf

        return tf.errors.NotFoundError
    return FileNotFoundError


def _names(folder: str) -> set[str]:
    """Return what lies in a folder; nothing if it is none."""
    listed: Callable[[str], list[str]] = os.listdir
    is_folder: Callable[[str], bool] = os.path.isdir
    if is_remote(folder):
        import tensorflow as tf

        listed, is_folder = tf.io.gfile.listdir, tf.io.gfile.isdir
    return {name.rstrip("/") for name in listed(folder)} if is_folder(folder) else set()
