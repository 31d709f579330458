"""Artifact types of this project, and what lies where inside an artifact.

Vertex AI asks for TYPE_NAME = "<importable name>.<Class>" with one dot, and no declared PROPERTIES;
`pipeline.__getattr__` finds them.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from tfx.types.artifact import Artifact


class GateReport(Artifact):
    """`gates.json`: metrics, slices, every gate with its bound and value."""

    TYPE_NAME = "pipeline.GateReport"


class EdgeModel(Artifact):
    """`report.json`, every variant as `variants/<name>.tflite`, and in `package/` what to push if a variant passed."""

    TYPE_NAME = "pipeline.EdgeModel"


class PushedEdgeModel(Artifact):
    """A pushed edge package; the custom property `pushed_destination` says where it went, empty when nothing was pushed."""

    TYPE_NAME = "pipeline.PushedEdgeModel"


class RegisteredModel(Artifact):
    """A version in the Model Registry; the custom properties `model` and `version` name it, empty when nothing was pushed."""

    TYPE_NAME = "pipeline.RegisteredModel"


class DataApproval(Artifact):
    """Says that the examples it was made from have no anomalies; `approval.json` lists what was looked at."""

    TYPE_NAME = "pipeline.DataApproval"


# Custom property of a blessing: the name of the pipeline that gave it.
BLESSED_FOR = "pipeline"


def keras_model_path(model_uri: str) -> str:
    """Where the Trainer leaves the Keras model: a SavedModel cannot be trained further, compression needs this."""
    return os.path.join(model_uri, "Format-Keras", "model.keras")


def training_report_path(model_uri: str) -> str:
    """Where the Trainer leaves losses, strategy and the simple baseline's metrics."""
    return os.path.join(model_uri, "training.json")


def going_on_folder(output_uri: str, inputs: dict[str, list[Any]], exec_properties: dict[str, Any]) -> str:
    """Return where a stage keeps what it goes on from if it is interrupted; whoever publishes its outputs removes it.

    Args:
      output_uri: of one of its outputs: the folder is beside them.
      inputs: {key: artifacts} of the stage. The folder is named by them and by
      exec_properties: of the stage.
    """
    stage = os.path.dirname(os.path.dirname(output_uri.rstrip("/")))
    # By content as well, where the runner recorded it: the number of an execution may come again with a restored database.
    read = {key: [(a.uri, a.get_string_custom_property(CONTENT_DIGEST_PROPERTY)) for a in each] for key, each in inputs.items()}
    key = hashlib.sha256(json.dumps([read, exec_properties], sort_keys=True, default=str).encode()).hexdigest()[:16]
    return os.path.join(stage, SYSTEM_FOLDER, CHECKPOINTS_FOLDER, key)


def ingest_report_path(examples_uri: str) -> str:
    """Where ExampleGen leaves counts, column types and unusable rows."""
    return os.path.join(examples_uri, "ingest.json")


def quarantine_path(examples_uri: str) -> str:
    """Where ExampleGen lists every unusable row: a line of JSON each, no line when there are none."""
    return os.path.join(examples_uri, "quarantine.jsonl")


# Stages by name: TFX's own name of the one, and the other that takes what it left in an earlier run.
EXAMPLE_GEN, TUNER, LATEST_SEARCH = "ExampleGen", "Tuner", "LatestSearch"
# In the folder of a split; TFX's names.
STATISTICS_FILE = "FeatureStats.pb"
ANOMALIES_FILE = "SchemaDiff.pb"
# In the folder of a schema; TFX's name.
SCHEMA_FILE = "schema.pbtxt"

GATES_FILE = "gates.json"
EDGE_REPORT_FILE = "report.json"
EDGE_PACKAGE_FOLDER = "package"
APPROVAL_FILE = "approval.json"
# TFX's name of what its Tuner leaves.
HYPERPARAMETERS_FILE = "best_hyperparameters.txt"
TUNING_SUMMARY_FILE = "summary.json"

# Below the folder of a stage: TFX's name of what is no artifact, and in it what an interrupted training goes on from.
SYSTEM_FOLDER, CHECKPOINTS_FOLDER = ".system", "checkpoints"
# Custom property of an artifact: what its files hold, as the local runner records it.
CONTENT_DIGEST_PROPERTY = "content_digest"
# Custom properties of what a pusher leaves.
DESTINATION_PROPERTY = "pushed_destination"
VERSION_PROPERTY = "pushed_version"
PUSHED_PROPERTY = "pushed"
# Of what the registrar leaves.
MODEL_NAME_PROPERTY, MODEL_VERSION_PROPERTY = "model", "version"
