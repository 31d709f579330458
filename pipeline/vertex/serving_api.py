"""The API of models, endpoints and batch predictions: what reads, what changes, and what a dry run shows instead."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import PipelineError
from pipeline.vertex.service import client

if TYPE_CHECKING:
    from google.api_core.retry import Retry

T = TypeVar("T")
# Of a request, in its REST form, that a dry run would have sent: the name of the method and the request.
Show = Callable[[str, dict[str, Any]], None]
_TRIES, _FIRST_PAUSE_SECONDS = 4, 0.5
_LONGEST_POLL_SECONDS = 20.0


class ServingError(PipelineError):
    """The service did not do what it was asked."""


class ServingApi:
    """Calls the service in one place."""

    def __init__(self, location: str, show: Show | None = None, poll_seconds: float = 2.0):
        """Connect when the first call is made.

        Args:
          location: projects/P/locations/R.
          show: is given what would change something, which is not sent then. None: it is sent.
          poll_seconds: first pause between two questions about an operation.
        """
        self.location = location
        self._show = show
        self._poll_seconds = poll_seconds

    @property
    def is_dry(self) -> bool:
        return self._show is not None

    def read(self, service: str, method: str, request: dict[str, Any]) -> Any:
        """Ask without changing anything; a busy service is asked again for half a minute.

        Args:
          service: "Model", "Endpoint", "Prediction" or "Job".
          method: of its client, such as "get_model".
          request: in its REST form.

        Raises:
          google.api_core.exceptions.GoogleAPICallError: the service refuses.
        """
        return getattr(self._client(service), method)(request=_message(method, request), retry=_when_busy())

    def change(self, service: str, method: str, request: dict[str, Any]) -> Any:
        """Change something; return the answer, None in a dry run. Operations are waited for by `finish`."""
        if self._show:
            self._show(method, request)
            return None
        return getattr(self._client(service), method)(request=_message(method, request))

    def finish(self, operation: Any, timeout_seconds: float = 3600.0) -> Any:
        """Wait for an operation; return its result, None of a dry run's.

        Raises:
          google.api_core.exceptions.GoogleAPICallError: it failed.
        """
        if operation is None:
            return None
        from google.api_core import exceptions

        end, pause = time.monotonic() + timeout_seconds, self._poll_seconds
        while not operation.done(retry=_when_busy()):
            if time.monotonic() > end:
                raise ServingError(
                    f"{operation.operation.name} is not done after {timeout_seconds:.0f} s. It goes on: see `endpoint` later."
                )
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL_SECONDS)
        if error := operation.exception():
            raise error if isinstance(error, exceptions.GoogleAPICallError) else ServingError(str(error))
        return operation.result()

    @functools.cache  # noqa: B019  # one object a process
    def _client(self, service: str) -> Any:
        from google.cloud import aiplatform_v1

        return client(getattr(aiplatform_v1, f"{service}ServiceClient"), self.location.split("/")[-1])


def until_undisturbed(change: Callable[[], T], pause_seconds: float = _FIRST_PAUSE_SECONDS) -> T:
    """Make a change that begins with a look at what there is; make it anew when somebody else changed that meanwhile.

    Raises:
      ServingError: somebody always does.
    """
    from google.api_core import exceptions

    for attempt in range(_TRIES):
        try:
            return change()
        except exceptions.GoogleAPICallError as error:
            if not is_conflict(error):
                raise
            if attempt == _TRIES - 1:
                raise ServingError(
                    f"Somebody else is changing the same resource; {_TRIES} tries were refused: {plain(error)}. "
                    "See who with `endpoint` and in the audit log, and try again when that is over."
                ) from error
            time.sleep(pause_seconds * 2**attempt)
    raise AssertionError("not reached")


def is_conflict(error: Any) -> bool:
    """Tell whether an error says that a resource is not any more what was read."""
    return error.code in (409, 412) or "etag" in (error.message or "").lower()


def explain(error: Any, location: str, service_account: str | None) -> str:
    """Return what went wrong, and the cure.

    Args:
      error: google.api_core.exceptions.GoogleAPICallError.
      location: projects/P/locations/R.
      service_account: of the runtime file.
    """
    project, message = location.split("/")[1], plain(error)
    return f"Vertex AI refuses (HTTP {error.code or '?'}): {message}.{_cure(error, project, service_account)}"


def plain(error: Any) -> str:
    """Return what the service said, without the address that the client puts before it and the full stop."""
    return re.sub(r"^[A-Z]+ https?://\S+: ", "", error.message or type(error).__name__).rstrip(".")


def _cure(error: Any, project: str, service_account: str | None) -> str:
    if error.code == 403 and re.search(r"actAs|serviceAccountUser", error.message):
        return (
            f" Grant: gcloud iam service-accounts add-iam-policy-binding {service_account or 'SERVICE_ACCOUNT'} "
            f"--project={project} --member=user:YOUR_EMAIL --role=roles/iam.serviceAccountUser"
        )
    if error.code == 403:
        return (
            f" Grant: gcloud projects add-iam-policy-binding {project} --member=user:YOUR_EMAIL --role=roles/aiplatform.user "
            "(a pipeline's service account: --member=serviceAccount:ACCOUNT)"
        )
    if error.code == 401:
        return " Run `gcloud auth application-default login`."
    if error.code == 429:
        return (
            " Ask for more quota (console: IAM & Admin, Quotas, aiplatform.googleapis.com), or set fewer replicas, another "
            "machine_type or another accelerator in `serving.endpoint`."
        )
    if error.code == 404:
        return " Is it deleted, or in another project or region? `endpoint` shows what there is."
    return ""


def names(items: Iterable[str]) -> str:
    """Return names for a sentence."""
    return ", ".join(items) or "none"


def _message(method: str, request: dict[str, Any]) -> Any:
    """Return the request of a method as the client takes it, from its REST form.

    Raises:
      google.protobuf.json_format.ParseError: it has a field that the API does not know.
    """
    from google.cloud import aiplatform_v1

    message = getattr(aiplatform_v1, "".join(word.title() for word in method.split("_")) + "Request")
    return message.from_json(json.dumps(request))


def _when_busy() -> Retry:
    from google.api_core import exceptions
    from google.api_core.retry import Retry, if_exception_type

    busy = if_exception_type(exceptions.ServiceUnavailable, exceptions.TooManyRequests, exceptions.InternalServerError)
    return Retry(busy, initial=0.5, maximum=8.0, timeout=30.0)
