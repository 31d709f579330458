"""Tells people how a job ended: a document to Pub/Sub, a sentence to a chat."""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import exit_codes
from pipeline.errors import PipelineError
from pipeline.vertex.jobs import watching
from pipeline.vertex.jobs.names import console_link
from pipeline.vertex.notify import Notify, Outcome
from pipeline.vertex.service import credentials

if TYPE_CHECKING:
    import requests

_LOGGER = logging.getLogger(__name__)
# Other addresses of the two services: of an emulator (host:port, as Google's clients have it), of a private endpoint.
PUBSUB_VARIABLE, SECRETS_VARIABLE = "PUBSUB_EMULATOR_HOST", "SECRETMANAGER_ENDPOINT"
_SECONDS = 20
# Between attempts; after the last there is none.
_PAUSES_SECONDS = (0.5, 1.0, 4.0, None)
_PASSING = (429, 500, 502, 503, 504)
_OUTCOMES: dict[int, Outcome] = {
    exit_codes.OK: "succeeded",
    exit_codes.NOT_BLESSED: "not_blessed",
    exit_codes.INTERRUPTED: "interrupted",
    exit_codes.FAILED: "failed",
}


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
      pipeline: its name.
      job: resource name.
      outcome: "succeeded", "not_blessed", "failed" or "interrupted", as in summary.json.
      lines: why, for people: the failed stages with their errors and logs, or the gate that was not passed.
      stages: [{"id", "state", "seconds", "error", "log"}] of all tasks; [] where only the service's last word is known.
    """

    pipeline: str
    job: str
    outcome: Outcome
    lines: tuple[str, ...]
    stages: tuple[dict[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """What a person reads."""
        said = {"not_blessed": "ended without a blessing", "interrupted": "was cancelled"}.get(self.outcome, self.outcome)
        return "\n".join([f"Pipeline {self.pipeline} {said}.", *self.lines, console_link(self.job)])

    def document(self) -> dict[str, Any]:
        """What a program reads."""
        return {
            "schema_version": 1,
            "pipeline": self.pipeline,
            "status": self.outcome,
            "job": self.job,
            "link": console_link(self.job),
            "text": self.text,
            "stages": list(self.stages),
        }


def ended(pipeline: str, status: dict[str, Any], job: Any) -> Ended:
    """Say how a job ended.

    Args:
      pipeline: its name.
      status: PipelineTaskFinalStatus of all tasks but the exit handler.
      job: the PipelineJob, which knows more: every task, and what the gates said; None where nobody can be asked.
    """
    name, state = status.get("pipelineJobResourceName", ""), status.get("state", "FAILED")
    if job is None:
        error = (status.get("error") or {}).get("message", "")
        outcome = {"SUCCEEDED": exit_codes.OK, "CANCELLED": exit_codes.INTERRUPTED}.get(state, exit_codes.FAILED)
        return Ended(pipeline, name, _OUTCOMES[outcome], (error,) if error else ())
    code, lines = watching.verdict(job, state)
    if code == exit_codes.INTERRUPTED:
        lines = []  # the first line says it
    stages = tuple(vars(task) for task in watching.tasks_of(job))
    return Ended(pipeline, job.name, _OUTCOMES[code], tuple(lines), stages)


def tell(notify: Notify, end: Ended) -> list[str]:
    """Tell whoever wants to know; a service that cannot be reached is a line of the log, and keeps nobody else from being told.

    Returns:
      What did not work, a sentence each.
    """
    if end.outcome not in notify.on:
        _LOGGER.info("Nobody is told: %s is not among `notify: on`.", end.outcome)
        return []
    failures = []
    for send in _channels(notify, end):
        try:
            send()
        except PipelineError as error:
            _LOGGER.error("%s", error)
            failures.append(str(error))
    return failures


def _channels(notify: Notify, end: Ended) -> Iterator[Any]:
    if topic := notify.topic:
        yield lambda: _publish(topic, end)
    if secret := notify.webhook_secret:
        yield lambda: _post(secret, end)


def _publish(topic: str, end: Ended) -> None:
    host = os.environ.get(PUBSUB_VARIABLE)
    address = f"http://{host}" if host else "https://pubsub.googleapis.com"
    data = base64.b64encode(json.dumps(end.document(), sort_keys=True).encode()).decode()
    message = {"data": data, "attributes": {"pipeline": end.pipeline, "status": end.outcome}}
    _ask(f"publish to {topic}", "roles/pubsub.publisher", address, "POST", f"/v1/{topic}:publish", {"messages": [message]})
    _LOGGER.info("Published to %s.", topic)


def _post(secret: str, end: Ended) -> None:
    import requests

    address = os.environ.get(SECRETS_VARIABLE, "https://secretmanager.googleapis.com")
    doing, role = f"read {secret}", "roles/secretmanager.secretAccessor"
    answer = _ask(doing, role, address, "GET", f"/v1/{secret}/versions/latest:access")
    webhook = base64.b64decode(answer["payload"]["data"]).decode().strip()
    # The address itself is the secret: it is in no message.
    with requests.Session() as session:
        _checked(session, f"post to the address in {secret}", "", "POST", webhook, {"text": end.text})
    _LOGGER.info("Posted to the address in %s.", secret)


def _ask(doing: str, role: str, address: str, method: str, path: str, body: Any = None) -> Any:
    from google.auth import exceptions
    from google.auth.transport.requests import AuthorizedSession

    try:
        found = credentials(address)
    except exceptions.GoogleAuthError as error:
        raise PipelineError(f"Cannot {doing}: there are no usable Google credentials: {error}") from None
    with AuthorizedSession(found) as session:
        return _checked(session, doing, role, method, address + path, body).json()


def _checked(session: requests.Session, doing: str, role: str, method: str, address: str, body: Any) -> requests.Response:
    """Ask.

    Raises:
      PipelineError: it does not work; the text does not have the address.
    """
    import requests
    from google.auth import exceptions

    for pause in _PAUSES_SECONDS:  # not by urllib3, which logs the path
        try:
            answer = session.request(method, address, json=body, timeout=_SECONDS)
        except (requests.RequestException, exceptions.GoogleAuthError) as error:
            if pause is None or not isinstance(error, requests.ConnectionError):
                text = f"Cannot {doing}: {type(error).__name__}. Is the address right, and the network there?"
                raise PipelineError(text) from None
        else:
            if pause is None or answer.status_code not in _PASSING:
                break
        time.sleep(pause)
    if answer.status_code == 403 and role:
        raise PipelineError(f"Cannot {doing}: HTTP 403. Grant {role} on it to the pipeline's service account.")
    if not answer.ok:
        raise PipelineError(f"Cannot {doing}: HTTP {answer.status_code}.")
    return answer
