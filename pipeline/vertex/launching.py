"""Jobs of Vertex AI that a task of a pipeline starts and waits for.

A task that is tried again finds the job of the attempt before, by a label that says what it runs, and waits for that; a task
that is ended cancels its jobs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any
from urllib.parse import quote

from pipeline.vertex.service import client

_LOGGER = logging.getLogger(__name__)
_TASK_LABEL = "task"
_UNDER_WAY = tuple(f"JOB_STATE_{state}" for state in ("QUEUED", "PENDING", "RUNNING", "PAUSED", "UPDATING", "CANCELLING"))
_SUCCEEDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 30.0


class Kind(Enum):
    """What the API calls a job."""

    CUSTOM = "custom_job"
    TUNING = "hyperparameter_tuning_job"


_PAGES = {
    "customJobs": "training",
    "hyperparameterTuningJobs": "hyperparameter-tuning",
    "batchPredictionJobs": "batch-predictions",
}


class Jobs:
    """Starts jobs in one place, and waits for them."""

    def __init__(self, location: str):
        """Connect.

        Args:
          location: projects/P/locations/R.
        """
        from google.cloud import aiplatform_v1

        self._location = location
        self._service = client(aiplatform_v1.JobServiceClient, location.split("/")[-1])
        self._messages: dict[Kind, Any] = {
            Kind.CUSTOM: aiplatform_v1.CustomJob,
            Kind.TUNING: aiplatform_v1.HyperparameterTuningJob,
        }
        self._started: list[tuple[Kind, str]] = []

    def start(self, kind: Kind, request: dict[str, Any]) -> Any:
        """Create a job, or find the one that an earlier attempt created; return it.

        Args:
          kind: of job.
          request: in its REST form, labelled by `with_command`.

        Raises:
          google.api_core.exceptions.GoogleAPICallError: Vertex refuses.
        """
        job = self._earlier(kind, request["labels"][_TASK_LABEL])
        if job is None:
            job = self._call("create", kind)(
                parent=self._location, **{kind.value: self._messages[kind].from_json(json.dumps(request))}
            )
            _LOGGER.info("Created %s: %s", job.name, console_link(job.name))
        else:
            _LOGGER.info("Goes on with %s of an earlier attempt: %s", job.name, console_link(job.name))
        self._started.append((kind, job.name))
        return job

    def wait(self, job: Any) -> Any:
        """Wait for the end of a job; return it as it is then."""
        from google.api_core import exceptions

        kind = next(kind for kind, name in self._started if name == job.name)
        seconds, state = _FIRST_WAIT_SECONDS, ""
        while job.state.name in _UNDER_WAY:
            if job.state.name != state:
                state = job.state.name
                _LOGGER.info("%s is %s.", job.display_name, _plain(state))
            time.sleep(seconds)
            seconds = min(1.5 * seconds, _LONGEST_WAIT_SECONDS)
            try:
                job = self._call("get", kind)(name=job.name)
            except (exceptions.ServerError, exceptions.TooManyRequests) as error:  # the job itself is none the worse for it
                _LOGGER.warning("Asks again in %.0f s: %s", seconds, error.message)
        _LOGGER.info("%s is %s.", job.display_name, _plain(job.state.name))
        return job

    @contextlib.contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel what was started if this process is interrupted, or fails."""
        from google.api_core import exceptions

        try:
            yield
        except BaseException:
            for kind, name in self._started:
                with contextlib.suppress(exceptions.GoogleAPICallError):  # it is over already
                    self._call("cancel", kind)(name=name)
            raise

    def _earlier(self, kind: Kind, digest: str) -> Any:
        found = self._call("list", kind, "s")(request={"parent": self._location, "filter": f'labels.{_TASK_LABEL}="{digest}"'})
        return next((job for job in found if job.state.name in (*_UNDER_WAY, *_SUCCEEDED)), None)

    def _call(self, verb: str, kind: Kind, plural: str = "") -> Any:
        return getattr(self._service, f"{verb}_{kind.value}{plural}")


def with_command(request: dict[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """Return a job whose own containers run a command, labelled by it so that it is found again.

    Args:
      request: a job in its REST form; containers with another command, such as a reduction server's, have none here.
      command: `python -m module` with arguments.
    """
    request = json.loads(json.dumps(request))
    spec = request["jobSpec"] if "jobSpec" in request else request["trialJobSpec"]
    for pool in spec["workerPoolSpecs"]:
        container = pool.get("containerSpec", {})
        if "command" in container:
            container["command"], container["args"] = list(command[:3]), list(command[3:])
    digest = hashlib.sha256(json.dumps(list(command)).encode()).hexdigest()[:32]
    return request | {"labels": {**request.get("labels", {}), _TASK_LABEL: digest}}


def succeeded(job: Any) -> bool:
    """Tell whether a job that is over did what it was to do."""
    return job.state.name in _SUCCEEDED


def failure(job: Any) -> str:
    """Return why a job did not succeed, with where its logs are."""
    why = f": {job.error.message.rstrip('.')}" if job.error.message else ""
    return f"The job {job.display_name} ended as {_plain(job.state.name)}{why}. Its log: {log_link(job.name)}"


def console_link(name: str) -> str:
    """Return the page of a job."""
    _, project, _, region, collection, number = name.split("/")
    return f"https://console.cloud.google.com/vertex-ai/locations/{region}/{_PAGES[collection]}/{number}?project={project}"


def log_link(name: str) -> str:
    """Return the page of a job's logs."""
    _, project, _, _, _, number = name.split("/")
    query = quote(f'resource.labels.job_id="{number}"', safe="")
    return f"https://console.cloud.google.com/logs/query;query={query}?project={project}"


def _plain(state: str) -> str:
    return state.removeprefix("JOB_STATE_").lower()
