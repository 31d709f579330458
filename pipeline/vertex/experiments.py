"""Experiments of Vertex AI: a pipeline job and its metrics as a row of one.

The service keeps both in Vertex ML Metadata. An experiment is a context of schema system.Experiment; the job's own context, of
schema system.PipelineRun, becomes a child of it; metrics are artifacts of schema system.Metrics in the job's context. The names
and versions are those that google.cloud.aiplatform writes (metadata/constants.py, metadata/experiment_resources.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pipeline.vertex.service import client

_EXPERIMENT, _METRICS, _VERSION = "system.Experiment", "system.Metrics", "0.0.1"
# By it the console knows that the experiment is none that somebody has deleted.
_NOT_DELETED = {"experiment_deleted": False}


class Experiments:
    """The experiments of one place."""

    def __init__(self, location: str):
        """Connect.

        Args:
          location: projects/P/locations/R.
        """
        from google.cloud import aiplatform_v1

        self._api = aiplatform_v1
        self._store = f"{location}/metadataStores/default"
        self._service = client(aiplatform_v1.MetadataServiceClient, location.split("/")[-1])

    def add(self, experiment: str, job: Any, metrics: Mapping[str, float]) -> None:
        """Make a job a run of an experiment, which is created if there is none of that name; doing it twice changes nothing.

        Args:
          experiment: its id.
          job: PipelineJob of the API; its `job_detail` names the job's context.
          metrics: {name: value} of the candidate on the eval split; {}: of a job that did not come so far.

        Raises:
          google.api_core.exceptions.GoogleAPICallError: the service refuses.
        """
        run = job.job_detail.pipeline_run_context.name
        self._service.add_context_children(context=self._experiment(experiment), child_contexts=[run])
        if metrics:
            artifact = self._metrics(job, metrics)
            self._service.add_context_artifacts_and_executions(context=run, artifacts=[artifact])

    def _experiment(self, name: str) -> str:
        from google.api_core import exceptions

        full = f"{self._store}/contexts/{name}"
        try:
            return str(self._service.get_context(name=full).name)
        except exceptions.NotFound:
            pass
        context = self._api.Context(display_name=name, schema_title=_EXPERIMENT, schema_version=_VERSION, metadata=_NOT_DELETED)
        try:
            return str(self._service.create_context(parent=self._store, context=context, context_id=name).name)
        except exceptions.AlreadyExists:  # another job was quicker
            return full

    def _metrics(self, job: Any, metrics: Mapping[str, float]) -> str:
        from google.api_core import exceptions

        artifact = self._api.Artifact(
            display_name="metrics", schema_title=_METRICS, schema_version=_VERSION, metadata=dict(metrics)
        )
        # The same for every attempt.
        identity = f"metrics-{hashlib.sha256(job.name.encode()).hexdigest()[:32]}"
        try:
            return str(self._service.create_artifact(parent=self._store, artifact=artifact, artifact_id=identity).name)
        except exceptions.AlreadyExists:
            return f"{self._store}/artifacts/{identity}"
