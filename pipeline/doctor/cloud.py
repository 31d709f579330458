"""Google Cloud as the checks see it: credentials, and plain HTTPS requests with them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.doctor.findings import Finding, ok, problem
from pipeline.errors import ConfigError, PipelineError

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

    from pipeline.doctor.subject import Subject

Look: TypeAlias = "Callable[[Subject], Iterator[Finding]]"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TIME_LIMIT_SECONDS = 20
_DISABLED = "SERVICE_DISABLED"
_LOG_IN = (
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the path of a service account's key "
    "file; on Google Cloud, give the machine a service account."
)
# Whom Google counts requests of a user to who named no project:
# https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds
_GCLOUDS_OWN = "764086051850"
_CONNECT = "Check the network, the firewall, and HTTPS_PROXY if there is a proxy."


class CloudError(PipelineError):
    """Google could not be asked; `cure` says what to do about it."""

    def __init__(self, text: str, cure: str):
        super().__init__(text)
        self.cure = cure


@dataclass(frozen=True)
class Answer:
    """What a service said: HTTP status, the JSON document of its body ({} if it is none), headers by lower-case name."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """What went wrong, in the service's words, without a full stop."""
        error = self.document.get("error")
        text = error.get("message", "") if isinstance(error, dict) else ""
        return f"HTTP {self.status}" + (f": {text.rstrip('.')}" if text else "")

    @property
    def is_denied(self) -> bool:
        """Whether it lacks a right that a role could grant; an API that is disabled answers 403 as well."""
        return self.status == 403 and self._reason.get("reason") != _DISABLED

    def cure(self, otherwise: str) -> str:
        """Return what enables the API, if the answer is that it is disabled."""
        about = self._reason.get("metadata", {})
        if self._reason.get("reason") != _DISABLED or not about.get("service"):
            return otherwise
        project = str(about.get("consumer", "")).partition("/")[2]
        if project == _GCLOUDS_OWN:
            return "gcloud auth application-default set-quota-project PROJECT, one that has enabled it: none is named yet."
        return f"gcloud services enable {about['service']} --project={project or 'PROJECT'}"

    @property
    def _reason(self) -> Mapping[str, Any]:
        """The answer's google.rpc.ErrorInfo, {} where there is none."""
        error = self.document.get("error")
        details = error.get("details", ()) if isinstance(error, dict) else ()
        return next((detail for detail in details if "reason" in detail), {})


@dataclass(frozen=True)
class Cloud:
    """A connection with credentials that Google took; account: whose they are."""

    session: AuthorizedSession
    account: str

    def ask(
        self,
        method: str,
        url: str,
        parameters: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send a request; a body as JSON.

        Raises:
          CloudError: there is no answer.
        """
        import requests
        from google.auth import exceptions

        try:
            answer = self.session.request(
                method, url, params=list(parameters), headers=dict(headers or {}), json=body, timeout=_TIME_LIMIT_SECONDS
            )
        except (requests.RequestException, exceptions.GoogleAuthError) as error:
            raise CloudError(f"{url.partition('?')[0]} cannot be reached: {_innermost(error)}.", _CONNECT) from error
        return Answer(
            answer.status_code, _document(answer.content), {key.lower(): text for key, text in answer.headers.items()}
        )


def connect() -> Cloud:
    """Find Application Default Credentials and have Google check them.

    Raises:
      CloudError: there are none, or Google does not take them or cannot be reached.
    """
    import google.auth
    from google.auth import exceptions
    from google.auth.transport import requests

    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
        credentials.refresh(functools.partial(requests.Request(), timeout=_TIME_LIMIT_SECONDS))
    except exceptions.DefaultCredentialsError as error:
        raise CloudError(f"There are no Google credentials: {_first(error)}", _LOG_IN) from error
    except exceptions.RefreshError as error:
        raise CloudError(f"Google does not take the credentials: {_first(error)}", _LOG_IN) from error
    except exceptions.TransportError as error:
        raise CloudError(f"Google cannot be reached to check the credentials: {_innermost(error)}.", _CONNECT) from error
    account = getattr(credentials, "service_account_email", None) or getattr(credentials, "account", None)
    return Cloud(requests.AuthorizedSession(credentials), account or "the user who logged in")


def unreachable_is_told(name: str) -> Callable[[Look], Look]:
    """Return what makes a service that cannot be reached a problem of a check.

    Args:
      name: of the check.
    """

    def wrap(look: Look) -> Look:
        @functools.wraps(look)
        def telling(subject: Subject) -> Iterator[Finding]:
            try:
                yield from look(subject)
            except CloudError as error:
                yield problem(name, str(error), error.cure)

        return telling

    return wrap


def check_runtime(subject: Subject) -> Iterator[Finding]:
    """Load the runtime file, and see whether containers can reach the config's data."""
    from pipeline.data_config import BigQueryData

    cure = f"Correct {subject.runtime}; configs/runtime/vertex.example.yaml shows every key."
    try:
        runtime = subject.vertex
    except ConfigError as error:
        yield problem("runtime", str(error), cure)
        return
    yield ok("runtime", f"{subject.runtime}: project {runtime.project}, {runtime.region}, {runtime.bucket}")
    config = subject.config_or_none()
    if config is None or isinstance(config.data, BigQueryData):
        return
    try:
        yield ok("runtime", f"containers read the data at {runtime.data_path(config.data.path)}")
    except ConfigError as error:
        yield problem("runtime", str(error), f"gcloud storage cp -r {config.data.path} {runtime.bucket}/{config.name}/data/")


def check_credentials(subject: Subject) -> Iterator[Finding]:
    """Find credentials and have Google check them."""
    try:
        yield ok("credentials", f"Google takes those of {subject.cloud.account}")
    except CloudError as error:
        yield problem("credentials", str(error), error.cure)


def member(account: str) -> str:
    """Return an account as `gcloud ... --member` takes it."""
    if "@" not in account:
        return "user:YOUR_EMAIL"
    return f"serviceAccount:{account}" if account.endswith(".gserviceaccount.com") else f"user:{account}"


def _document(content: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _innermost(error: BaseException) -> str:
    """Return what the network said, below the words that libraries put around it."""
    while below := error.__cause__ or error.__context__:
        error = below
    return f"{type(error).__name__}: {error}".rstrip(".")


def _first(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())
