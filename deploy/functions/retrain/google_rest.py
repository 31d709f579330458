"""Cloud Storage and Vertex AI by their REST interfaces, with little more than HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import google.auth
import requests
from failures import ForbiddenError, PermanentError, TransientError
from google.auth import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TIMEOUT_SECONDS = 30
# A quota is free again, a service comes back.
_PASSING = (401, 408, 429, 500, 502, 503, 504)


class NotFoundError(PermanentError):
    """What is asked for is not there."""


class Google:
    """A connection to the interfaces. Shows credentials only to addresses that are encrypted."""

    def __init__(self, location: str):
        """Find out where to ask.

        Args:
          location: projects/P/locations/R.
        """
        region = location.split("/")[-1]
        storage = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        vertex = os.environ.get("AIPLATFORM_ENDPOINT") or f"https://{region}-aiplatform.googleapis.com"
        self._objects = f"{storage}/storage/v1/b"
        self._jobs = f"{vertex}/v1/{location}/pipelineJobs"
        self._location = location
        self._open: AuthorizedSession | None = None

    def read(self, bucket: str, name: str, generation: str | None = None) -> bytes:
        """Return what an object holds.

        Args:
          bucket: without gs://.
          name: of the object.
          generation: default: the live one.

        Raises:
          NotFoundError: there is none.
          TransientError: not now.
        """
        parameters = {"alt": "media"} | ({"generation": generation} if generation else {})
        address = f"{self._objects}/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        return self._ask(f"read gs://{bucket}/{name}", "GET", address, params=parameters).content

    def objects(self, bucket: str, prefix: str, glob: str) -> Iterator[tuple[str, str]]:
        """Give name and generation of the objects that match.

        Args:
          bucket: without gs://.
          prefix: all of them begin with.
          glob: as Cloud Storage's matchGlob has it.

        Raises:
          TransientError: not now.
        """
        parameters = {"prefix": prefix, "matchGlob": glob, "fields": "items(name,generation),nextPageToken"}
        address = f"{self._objects}/{quote(bucket, safe='')}/o"
        while True:
            page = self._ask(f"list gs://{bucket}/{prefix}", "GET", address, params=parameters).json()
            for item in page.get("items", []):
                yield item["name"], str(item["generation"])
            if not page.get("nextPageToken"):
                return
            parameters["pageToken"] = page["nextPageToken"]

    def jobs(self, pipeline: str) -> list[dict[str, Any]]:
        """Return the newest hundred jobs of a pipeline: name, state, createTime, labels.

        Raises:
          PermanentError: Vertex AI refuses.
          TransientError: not now.
        """
        parameters = {
            "filter": f'labels.pipeline="{pipeline}"',
            "orderBy": "create_time desc",
            "pageSize": "100",
            "readMask": "name,state,createTime,labels",
        }
        found = self._ask("list the jobs", "GET", self._jobs, params=parameters).json()
        return list(found.get("pipelineJobs", []))

    def submit(self, job: dict[str, Any], identity: str) -> bool:
        """Create a job; tell whether it is new: the second call with an id makes no second job.

        Raises:
          PermanentError: Vertex AI refuses.
          TransientError: not now.
        """
        parameters = {"pipelineJobId": identity}
        answer = self._ask(f"submit {identity}", "POST", self._jobs, (409,), params=parameters, json=job)
        return answer.status_code != 409

    def _ask(self, doing: str, verb: str, address: str, fine: tuple[int, ...] = (), **how: Any) -> requests.Response:
        try:
            answer = self._session().request(verb, address, timeout=_TIMEOUT_SECONDS, **how)
        except (requests.RequestException, exceptions.GoogleAuthError) as error:
            raise TransientError(f"Cannot {doing}: {' '.join(str(error).split())[:300]}") from error
        if answer.ok or answer.status_code in fine:
            return answer
        raise _refusal(doing, answer)

    def _session(self) -> AuthorizedSession:
        if self._open is None:
            plain = any(address.startswith("http://") for address in (self._objects, self._jobs))
            credentials = AnonymousCredentials() if plain else google.auth.default(scopes=_SCOPES)[0]
            self._open = AuthorizedSession(credentials)
        return self._open


def _refusal(doing: str, answer: requests.Response) -> Exception:
    """Return what a refusal means here."""
    told = f"Cannot {doing}: {answer.status_code}, {_message(answer)}"
    if answer.status_code == 404:
        return NotFoundError(f"{told} Check project, region, bucket and name.")
    if answer.status_code == 403:
        cure = "Grant the function's account what deploy/terraform grants it."
        return ForbiddenError(f"{told} {cure} Until then the event comes back, as long as docs/continuous_training.md says.")
    return (TransientError if answer.status_code in _PASSING else PermanentError)(told)


def _message(answer: requests.Response) -> str:
    """Return what a service said, as a sentence."""
    try:
        said = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.text[:300]
    return f"{' '.join(str(said).split()).rstrip('.')}."
