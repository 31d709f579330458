"""Batch predictions of a registered version: which files Google's TensorFlow container can be fed with, and the job.

Vertex AI turns every record of the input into one instance, and the container hands instances to the signature's only input,
which takes serialized tf.Examples. So files of tf.Examples do as they are, such as those that ExampleGen writes; JSON lines do
if each is {"examples": {"b64": "..."}} or {"b64": "..."}. CSV and BigQuery do not: their rows become arrays of values.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pipeline.errors import ConfigError
from pipeline.vertex import endpoints, registry
from pipeline.vertex.launching import log_link
from pipeline.vertex.machines import Machine
from pipeline.vertex.served import Served, Version
from pipeline.vertex.serving_api import ServingApi, ServingError

if TYPE_CHECKING:
    from pipeline.vertex.runtime import VertexRuntime

Format: TypeAlias = Literal["jsonl", "tf-record", "tf-record-gzip"]
_BY_ENDING: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".tfrecord": "tf-record",
    ".tfrecords": "tf-record",
    ".gz": "tf-record-gzip",
}
_OVER = ("SUCCEEDED", "FAILED", "CANCELLED", "PARTIALLY_SUCCEEDED", "EXPIRED")
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class BatchOptions:
    """What is to be scored.

    Attributes:
      source: gs:// file, or several by a wildcard.
      target: gs:// folder; the job makes a folder of its own in it.
      version: or alias; None: the champion, without one the newest.
      kind: of the source; None: by its ending.
      machine_type: None: the endpoint's, without one n1-standard-4.
      max_replicas: most machines at a time.
    """

    source: str
    target: str
    version: str | None = None
    kind: Format | None = None
    machine_type: str | None = None
    max_replicas: int = 1


def start(api: ServingApi, runtime: VertexRuntime, options: BatchOptions) -> Any:
    """Create the job; return it, None in a dry run.

    Raises:
      ConfigError: there is no such version, or the container cannot read the input.
    """
    serving, model = endpoints.serving_of(runtime)
    versions = registry.versions_of(api, model.name)
    version = _chosen(Served(versions, "", "", (), serving.champion_alias), options.version)
    job = job_request(runtime, version, options)
    return api.change("Job", "create_batch_prediction_job", {"parent": api.location, "batchPredictionJob": job})


def wait(api: ServingApi, job: Any, pause_seconds: float = 5.0) -> Any:
    """Wait for the end of a job; return it as it is then.

    Raises:
      ServingError: it did not succeed.
    """
    while not job.state.name.removeprefix("JOB_STATE_").startswith(_OVER):
        time.sleep(pause_seconds)
        pause_seconds = min(1.5 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        job = api.read("Job", "get_batch_prediction_job", {"name": job.name})
    state = job.state.name.removeprefix("JOB_STATE_")
    if state != "SUCCEEDED":
        whys = [text for text in (job.error.message, *(each.message for each in job.partial_failures)) if text]
        why = f": {'; '.join(whys[:3]).rstrip('.')}" if whys else ""
        raise ServingError(f"The batch prediction {job.name} is {state.lower()}{why}. Its log: {log_link(job.name)}")
    return job


def job_request(runtime: VertexRuntime, version: Version, options: BatchOptions) -> dict[str, Any]:
    """Return a BatchPredictionJob in its REST form.

    Raises:
      ConfigError: the container cannot read the input, or the output is no folder of a bucket.
    """
    serving, model = endpoints.serving_of(runtime)
    if not options.target.startswith("gs://"):
        raise ConfigError(f"--output: '{options.target}' is no gs:// folder. Name one: {runtime.bucket}/predictions")
    machine: Machine = serving.endpoint or Machine(machine_type="n1-standard-4")
    spec = {"machineType": options.machine_type} if options.machine_type else machine.spec()
    job: dict[str, Any] = {
        "displayName": f"{model.model}-{version.id}",
        "model": version.name,
        "inputConfig": {"instancesFormat": _format(options), "gcsSource": {"uris": [options.source]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": options.target.rstrip("/")},
        },
        "dedicatedResources": {
            "machineSpec": spec,
            "startingReplicaCount": 1,
            "maxReplicaCount": options.max_replicas,
        },
        "labels": dict(runtime.labels),
    }
    if runtime.service_account:
        job["serviceAccount"] = runtime.service_account
    if runtime.encryption_key:
        job["encryptionSpec"] = {"kmsKeyName": runtime.encryption_key}
    return job


def _chosen(served: Served, asked: str | None) -> Version:
    if asked is not None:
        return served.find(asked)
    sound = [version for version in served.versions if not version.is_withdrawn]
    if not sound:
        raise ConfigError(
            "The Model Registry has no version to score with: run the pipeline with `serving:` in the runtime file."
        )
    return served.champion or sound[-1]


def _format(options: BatchOptions) -> Format:
    """Return the format of the input.

    Raises:
      ConfigError: it is none that the container can be fed with.
    """
    if not options.source.startswith("gs://"):
        raise ConfigError(f"--input: '{options.source}' is not in Cloud Storage. {_EXPECTED}")
    if options.kind:
        return options.kind
    for ending, kind in _BY_ENDING.items():
        if options.source.endswith(ending):
            return kind
    raise ConfigError(f"--input: '{options.source}' does not say what it holds. {_EXPECTED} Or say it: --format tf-record")


_EXPECTED = (
    "Expected gs:// files of serialized tf.Examples: TFRecord (.tfrecord, or compressed as ExampleGen writes them, .gz), or "
    '.jsonl with {"examples": {"b64": "..."}} a line. Rows of CSV and BigQuery are no tf.Examples: score those with '
    "`runner_local.py predict --runner DataflowRunner`, or ingest them first."
)
