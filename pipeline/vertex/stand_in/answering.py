"""What each call of the API does: creating, listing, cancelling; jobs go on in threads of their own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from pipeline.vertex.stand_in.endpoints import Endpoints, Predict
from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.metadata import Metadata
from pipeline.vertex.stand_in.models import Models
from pipeline.vertex.stand_in.operations import Operations
from pipeline.vertex.stand_in.resources import Resources

# Is given a job, as the API's own message, and brings it to an end; the default ends it at once, successfully.
Work = Callable[[Any], None]
_JOB_ID = re.compile(r"[a-z][-a-z0-9]{0,127}")
_COLLECTIONS = {
    "CustomJob": "customJobs",
    "HyperparameterTuningJob": "hyperparameterTuningJobs",
    "BatchPredictionJob": "batchPredictionJobs",
    "PipelineJob": "pipelineJobs",
    "Schedule": "schedules",
    "Tensorboard": "tensorboards",
}


class Answering:
    """Answers calls. Jobs of a kind are done by whoever is named for it."""

    def __init__(self, resources: Resources, operations: Operations, work: dict[str, Work], predict: Predict):
        """Answer.

        Args:
          resources: that are kept.
          operations: of calls that take a while.
          work: {"CustomJob", "HyperparameterTuningJob", "PipelineJob", "BatchPredictionJob": what does it}.
          predict: gives the predictions of what is deployed.
        """
        self._resources, self.work = resources, work
        self.models = Models(resources, operations)
        self.endpoints = Endpoints(resources, self.models, operations, predict)
        self._parts = (self.models, self.endpoints, Metadata(resources))

    def answer(self, name: str, request: Any) -> Any:
        """Return the answer to a call, as one of the API's messages; None where it is empty.

        Raises:
          RefusedError: the call cannot be done, or is none of those that this stands in for.
        """
        for part in self._parts:
            if part.knows(name):
                return part.answer(name, request)
        for verb in ("Create", "Get", "List", "Cancel", "Delete", "Pause", "Resume", "Update"):
            kind = name.removeprefix(verb)
            kind = kind.removesuffix("s") if verb == "List" else kind
            if name.startswith(verb) and kind in _COLLECTIONS:
                return getattr(self, f"_{verb.lower()}")(kind, request)
        raise RefusedError(501, f"{name} is not among what this stand-in of Vertex AI does.")

    def _create(self, kind: str, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        field = re.sub(r"(?<!^)([A-Z])", r"_\1", kind).lower()
        resource, identity = getattr(request, field), getattr(request, f"{field}_id", "")
        if identity and not _JOB_ID.fullmatch(identity):
            raise RefusedError(400, f"{field}_id should match {_JOB_ID.pattern}, found {identity}.")
        if kind == "PipelineJob":
            _check_pipeline(resource)
        if kind == "BatchPredictionJob":
            self.models.find(resource.model)
        if kind == "Schedule":
            _check_schedule(resource)
            resource.state = aiplatform_v1.Schedule.State.ACTIVE
        made = self._resources.create(request.parent, _COLLECTIONS[kind], resource, identity)
        if kind in ("CustomJob", "HyperparameterTuningJob", "BatchPredictionJob"):
            made.state = aiplatform_v1.JobState.JOB_STATE_PENDING
        elif kind == "PipelineJob":
            made.state = aiplatform_v1.PipelineState.PIPELINE_STATE_PENDING
        if kind in self.work:
            threading.Thread(target=self._do, args=(self.work[kind], made), daemon=True, name=made.name).start()
        return made

    def _do(self, work: Work, job: Any) -> None:
        from google.rpc import status_pb2

        try:
            work(job)
        except Exception as error:  # whatever goes wrong with a job is that job's failure
            job.error = status_pb2.Status(code=13, message=str(error))
            job.state = type(job.state)[f"{job.state.name.partition('_STATE_')[0]}_STATE_FAILED"]

    def _get(self, kind: str, request: Any) -> Any:
        return self._resources.get(request.name)

    def _list(self, kind: str, request: Any) -> Any:
        from google.cloud import aiplatform_v1

        plural = f"{kind}s"
        answer = getattr(aiplatform_v1.types, f"List{plural}Response")()
        field = re.sub(r"(?<!^)([A-Z])", r"_\1", plural).lower()
        setattr(answer, field, self._resources.list(request.parent, _COLLECTIONS[kind], request.filter))
        return answer

    def _cancel(self, kind: str, request: Any) -> None:
        from google.cloud import aiplatform_v1

        job = self._resources.get(request.name)
        if kind == "PipelineJob":
            job.state = aiplatform_v1.PipelineState.PIPELINE_STATE_CANCELLED
        else:
            job.state = aiplatform_v1.JobState.JOB_STATE_CANCELLED

    def _pause(self, kind: str, request: Any) -> None:
        self._set_schedule(request.name, "PAUSED")

    def _resume(self, kind: str, request: Any) -> None:
        self._set_schedule(request.name, "ACTIVE")

    def _set_schedule(self, name: str, state: str) -> None:
        schedule = self._resources.get(name)
        schedule.state = type(schedule.state)[state]

    def _delete(self, kind: str, request: Any) -> Any:
        from google.longrunning import operations_pb2
        from google.protobuf import any_pb2, empty_pb2

        self._resources.delete(request.name)
        packed = any_pb2.Any()
        packed.Pack(empty_pb2.Empty())
        return operations_pb2.Operation(name=f"{self._resources.location}/operations/1", done=True, response=packed)


def _check_pipeline(job: Any) -> None:
    if not job.runtime_config.gcs_output_directory.startswith("gs://"):
        raise RefusedError(
            400, f"runtime_config.gcs_output_directory is no gs:// URI: {job.runtime_config.gcs_output_directory!r}."
        )
    if "root" not in job.pipeline_spec:
        raise RefusedError(400, "pipeline_spec has no root.")


def _check_schedule(schedule: Any) -> None:
    words = re.sub(r"^(CRON_)?TZ=\S+\s+", "", schedule.cron).split()
    if len(words) != 5:
        raise RefusedError(400, f"cron should have 5 fields, found {schedule.cron!r}.")
    _check_pipeline(schedule.create_pipeline_job_request.pipeline_job)
