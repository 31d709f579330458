"""Artifact types of this project, and what lies where inside an artifact.

Vertex AI asks for TYPE_NAME = "<importable name>.<Class>" with one dot, and no declared PROPERTIES;
`pipeline.__getattr__` finds them.
"""

from __future__ import annotations

import os

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


class DataApproval(Artifact):
    """Says that the examples it was made from have no anomalies; `approval.json` lists what was looked at."""

    TYPE_NAME = "pipeline.DataApproval"


def keras_model_path(model_uri: str) -> str:
    """Where the Trainer leaves the Keras model: a SavedModel cannot be trained further, compression needs this."""
    return os.path.join(model_uri, "Format-Keras", "model.keras")


def training_report_path(model_uri: str) -> str:
    """Where the Trainer leaves losses, strategy and the simple baseline's metrics."""
    return os.path.join(model_uri, "training.json")


def ingest_report_path(examples_uri: str) -> str:
    """Where ExampleGen leaves counts, column types and unusable rows."""
    return os.path.join(examples_uri, "ingest.json")


def quarantine_path(examples_uri: str) -> str:
    """Where ExampleGen lists every unusable row: a line of JSON each, no line when there are none."""
    return os.path.join(examples_uri, "quarantine.jsonl")


# In the folder of a split; TFX's names.
STATISTICS_FILE = "FeatureStats.pb"
ANOMALIES_FILE = "SchemaDiff.pb"
# In the folder of a schema; TFX's name.
SCHEMA_FILE = "schema.pbtxt"

GATES_FILE = "gates.json"
EDGE_REPORT_FILE = "report.json"
EDGE_PACKAGE_FOLDER = "package"
APPROVAL_FILE = "approval.json"

# Below the folder of a stage: TFX's name of what is no artifact, and in it what an interrupted training goes on from.
SYSTEM_FOLDER, CHECKPOINTS_FOLDER = ".system", "checkpoints"
# Custom property of an artifact: what its files hold, as the local runner records it.
CONTENT_DIGEST_PROPERTY = "content_digest"
# Custom properties of what a pusher leaves.
DESTINATION_PROPERTY = "pushed_destination"
VERSION_PROPERTY = "pushed_version"
PUSHED_PROPERTY = "pushed"
