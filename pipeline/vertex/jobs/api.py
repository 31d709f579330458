"""The calls of Vertex AI's API for pipeline jobs and schedules, with what to do about each refusal."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.errors import PipelineError
from pipeline.vertex.service import client

# The API's own words for a failure that another attempt may not meet.
_PATIENCE_SECONDS, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 1.0, 20.0
_LOG_IN = "gcloud auth application-default login"


class ServiceError(PipelineError):
    """Vertex AI did not do what it was asked; the text says why, and the cure."""


class JobsApi:
    """Pipeline jobs and schedules in one place. Connects when it is first used."""

    def __init__(self, location: str):
        """Name the place: projects/P/locations/R."""
        self.location = location
        self._clients: dict[str, Any] = {}

    def submit(self, job: dict[str, Any], identity: str) -> Any:
        """Create a pipeline job; return it.

        Args:
          job: in its REST form.
          identity: its id. A call that is repeated makes no second job of it.

        Raises:
          ServiceError: Vertex AI refuses.
        """
        from google.api_core import exceptions
        from google.cloud.aiplatform_v1 import PipelineJob

        message = PipelineJob.from_json(json.dumps(job))
        call = {"parent": self.location, "pipeline_job": message, "pipeline_job_id": identity}
        attempts: list[Exception] = []
        with self._explaining("submit the job"):
            try:
                return self._pipelines.create_pipeline_job(**call, retry=_retry(attempts.append))
            except exceptions.Conflict:
                if not attempts:
                    raise
                # The first attempt came through; only its answer did not.
                return self._pipelines.get_pipeline_job(name=f"{self.location}/pipelineJobs/{identity}", retry=_retry())

    def job(self, name: str) -> Any:
        """Return a pipeline job as it is now.

        Raises:
          ServiceError: there is none of that name, or Vertex AI refuses.
        """
        with self._explaining(f"look at {name}"):
            return self._pipelines.get_pipeline_job(name=name, retry=_retry())

    def cancel(self, name: str) -> None:
        """Ask for the end of a pipeline job.

        Raises:
          ServiceError: there is none of that name, or Vertex AI refuses.
        """
        with self._explaining(f"cancel {name}"):
            self._pipelines.cancel_pipeline_job(name=name, retry=_retry())

    def schedules(self, pipeline: str) -> list[Any]:
        """Return the schedules of a pipeline that are not over.

        Raises:
          ServiceError: Vertex AI refuses.
        """
        with self._explaining("list the schedules"):
            found = self._schedules.list_schedules(
                request={"parent": self.location, "filter": f'display_name="{pipeline}"'}, retry=_retry()
            )
            return [schedule for schedule in found if schedule.state.name != "COMPLETED"]

    def create_schedule(self, schedule: dict[str, Any]) -> Any:
        """Create a schedule, given in its REST form; return it.

        Raises:
          ServiceError: Vertex AI refuses.
        """
        from google.cloud.aiplatform_v1 import Schedule

        with self._explaining("create the schedule"):  # not tried again: it would be there twice
            return self._schedules.create_schedule(parent=self.location, schedule=Schedule.from_json(json.dumps(schedule)))

    def change_schedule(self, verb: str, name: str) -> None:
        """Do something with a schedule.

        Args:
          verb: "pause", "resume" or "delete".
          name: of the resource.

        Raises:
          ServiceError: there is none of that name, or Vertex AI refuses.
        """
        with self._explaining(f"{verb} {name}"):
            getattr(self._schedules, f"{verb}_schedule")(name=name, retry=_retry())

    @property
    def _pipelines(self) -> Any:
        return self._client("PipelineServiceClient")

    @property
    def _schedules(self) -> Any:
        return self._client("ScheduleServiceClient")

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            from google.cloud import aiplatform_v1

            self._clients[name] = client(getattr(aiplatform_v1, name), self.location.split("/")[-1])
        return self._clients[name]

    @contextlib.contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        """Turn whatever the client raises into a sentence.

        Raises:
          ServiceError: it does.
        """
        import requests
        from google.api_core import exceptions
        from google.auth import exceptions as auth

        try:
            yield
        except auth.DefaultCredentialsError as error:
            raise ServiceError(f"Cannot {doing}: there are no Google credentials ({error}). Log in: {_LOG_IN}") from None
        except auth.RefreshError as error:
            raise ServiceError(f"Cannot {doing}: Google does not take the credentials ({error}). Log in: {_LOG_IN}") from None
        except exceptions.RetryError as error:
            raise ServiceError(f"Cannot {doing}: {_why(error.cause, self.location)}") from None
        except exceptions.GoogleAPICallError as error:
            raise ServiceError(f"Cannot {doing}: {_why(error, self.location)}") from None
        except (requests.RequestException, auth.TransportError) as error:
            cause = " ".join(str(error).split())[:200]
            raise ServiceError(
                f"Cannot {doing}: Vertex AI cannot be reached ({cause}). Check the network, then try again."
            ) from None


def _why(error: Any, location: str) -> str:
    """Return what the service said, and the cure."""
    from google.api_core import exceptions

    said = re.sub(r"^\w+ https?://\S+: ", "", getattr(error, "message", str(error))).rstrip(".")
    project = location.split("/")[1]
    if isinstance(error, exceptions.Unauthorized):
        return f"{said}. Log in: {_LOG_IN}"
    if isinstance(error, exceptions.Forbidden):
        grant = f"gcloud projects add-iam-policy-binding {project} --member=user:YOUR_EMAIL --role=roles/aiplatform.user"
        return f"{said}. Have somebody grant it: {grant}"
    if isinstance(error, exceptions.TooManyRequests):
        return f"{said}. Wait, or ask for more: https://console.cloud.google.com/iam-admin/quotas?project={project}"
    if isinstance(error, exceptions.NotFound):
        return f"{said}. Check the name, the project and the region."
    if isinstance(error, exceptions.ServerError):
        return f"{said}. That is the service's own trouble: https://status.cloud.google.com tells; then the same command again."
    return f"{said}."


def _retry(told: Any = lambda error: None) -> Any:
    """Return how a call is repeated: after what may pass, a minute long.

    Args:
      told: is called with each error.
    """
    import requests
    from google.api_core import exceptions, retry

    passing = (exceptions.TooManyRequests, exceptions.ServerError, requests.ConnectionError)
    return retry.Retry(
        predicate=retry.if_exception_type(*passing),
        initial=_FIRST_PAUSE_SECONDS,
        maximum=_LONGEST_PAUSE_SECONDS,
        timeout=_PATIENCE_SECONDS,
        on_error=told,
    )
