"""JSON over HTTP around a service."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlparse

from google.longrunning import operations_pb2
from google.protobuf import json_format

_STATUS = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED", 429: "RESOURCE_EXHAUSTED"}


class RefusedError(Exception):
    """An error of the service."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


class Handler(BaseHTTPRequestHandler):
    """Gives requests to `target.handle(verb, path, query, body)`, and its answer or refusal back."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two wait 40 ms for each other
    target: Any

    def log_message(self, *_: object) -> None:
        pass

    def _go(self) -> None:
        url = urlparse(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = self.target.handle(
                self.command, unquote(url.path), dict(parse_qsl(url.query)), json.loads(content or b"{}")
            )
            status, document = 200, document_of(answer)
        except RefusedError as error:
            status = error.code
            document = {"error": {"code": status, "message": error.message, "status": _STATUS.get(status, "UNKNOWN")}}
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _go  # noqa: N815


def document_of(answer: Any) -> dict[str, Any]:
    """Return a message as JSON has it."""
    if isinstance(answer, dict):
        return answer
    pb = answer if isinstance(answer, operations_pb2.Operation) else type(answer).pb(answer)
    return json_format.MessageToDict(pb)
