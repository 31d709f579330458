"""A small Google on this machine: token endpoint, Cloud Storage, Service Usage and a container registry, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ACCOUNT = "pipeline@my-project.iam.gserviceaccount.com"
PERMISSIONS = ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"]
DIGEST = "sha256:" + "ab" * 32
_TOKEN = "token-of-the-fake"
_JSON = "application/json; charset=UTF-8"
# Where nobody listens.
NOWHERE = "http://127.0.0.1:9"
_ANY_PROJECT = "/v1/projects/-/serviceAccounts/"


def error(status: int, message: str, reason: str = "", **metadata: str) -> tuple[int, dict[str, Any]]:
    """An error as Google's JSON APIs spell it; metadata: of its reason."""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    info = {"@type": kind, "reason": reason, "domain": "googleapis.com"} | ({"metadata": metadata} if metadata else {})
    details = [info] if reason else []
    return status, {"error": {"code": status, "message": message, "details": details}}


@dataclass(frozen=True)
class Raw:
    """What is sent as it is: content and its type."""

    content: bytes
    kind: str


@dataclass
class FakeGoogle:
    """Answers by path; every request is kept.

    Attributes:
      url: where it listens.
      answers: {"METHOD /path": (status, document)}, or what gives that of query, headers and body; anything else is a 404, or a
        403 where the service says so. A document may be Raw.
      requests: [(method, path, query, headers by lower-case name)] without those for tokens.
      bodies: of the same, None for none.
      token_status: what the token endpoint says.
    """

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str, Mapping[str, list[str]], Mapping[str, str]]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    token_status: int = 200

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        if parts.path == "/token":
            grant = parse_qs(body.decode())
            assert grant["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            if self.token_status != 200:
                return self.token_status, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return 200, {"access_token": _TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        self.requests.append((method, parts.path, parse_qs(parts.query), headers))
        is_json = body and headers.get("content-type", "").startswith("application/json")
        self.bodies.append(json.loads(body) if is_json else body or None)
        if headers.get("authorization") != f"Bearer {_TOKEN}":
            return error(401, "Request had invalid authentication credentials.")
        if parts.path.startswith(_ANY_PROJECT):
            return self._account_of_any_project(method, parts.path.removeprefix(_ANY_PROJECT))
        found = self.answers.get(f"{method} {parts.path}", error(404, "Not found."))
        return found(parse_qs(parts.query), headers, self.bodies[-1]) if callable(found) else found

    def _account_of_any_project(self, method: str, account: str) -> tuple[int, dict[str, Any]]:
        """IAM under `projects/-` finds an account that is there, and says of any other what it says of one that is hidden."""
        for asked, answer in self.answers.items():
            if (
                asked.startswith(f"{method} /v1/projects/")
                and asked.endswith(f"/serviceAccounts/{account}")
                and answer[0] != 404
            ):
                return answer
        return error(
            403, "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).", "IAM_PERMISSION_DENIED"
        )

    def credentials_file(self, folder: Path, token_url: str = "") -> Path:
        """Write the key file of a service account whose tokens come from here."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        path = folder / "account.json"
        values = {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "1",
            "private_key": pem,
            "client_email": ACCOUNT,
            "token_uri": token_url or f"{self.url}/token",
        }
        path.write_text(json.dumps(values))
        return path


def _handler(google: FakeGoogle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {key.lower(): text for key, text in self.headers.items()}
            status, document = google.answer(self.command, self.path, headers, body)
            raw = document if isinstance(document, Raw) else Raw(json.dumps(document).encode(), _JSON)
            content = raw.content
            self.send_response(status)
            if self.command == "HEAD":  # a registry says by header which manifest it has
                content = b""
                if "digest" in document:
                    self.send_header("Docker-Content-Digest", document["digest"])
            self.send_header("Content-Type", raw.kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815  # names of http.server

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler


@contextmanager
def fake_google() -> Iterator[FakeGoogle]:
    """Serve until the block is left."""
    google = FakeGoogle()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(google))
    google.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
