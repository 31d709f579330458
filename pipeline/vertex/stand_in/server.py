"""The stand-in as a server on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from pipeline.vertex.stand_in.answering import Answering, Work
from pipeline.vertex.stand_in.endpoints import Predict
from pipeline.vertex.stand_in.faults import Fault, Faults, RefusedError
from pipeline.vertex.stand_in.operations import ADDRESS, Operations
from pipeline.vertex.stand_in.resources import Resources
from pipeline.vertex.stand_in.routes import Route, parse, read_routes

_POLL_SECONDS = 0.02  # that it takes to notice that it is to end


@dataclass(frozen=True)
class Call:
    """A call that was made.

    Attributes:
      name: such as "CreatePipelineJob".
      request: the API's own message.
      body: as it came, {} for none.
    """

    name: str
    request: Any
    body: dict[str, Any] = field(default_factory=dict)


@dataclass
class StandIn:
    """Stands in for Vertex AI while it is entered, at `endpoint`.

    Attributes:
      project: whose jobs it takes.
      region: where.
      work: {"CustomJob", "HyperparameterTuningJob", "PipelineJob", "BatchPredictionJob": does such a job}; others end at
        once, successfully.
      calls: that were made, in order, without those that were refused.
      asked: the same with those that were refused.
      before: is called with the name of each call before it is done: somebody else's moment.
      predict: gives the predictions of a deployed version for instances.
    """

    project: str
    region: str
    work: dict[str, Work] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    asked: list[Call] = field(default_factory=list)
    before: Callable[[str], None] = lambda name: None
    predict: Predict = lambda version, instances: [0.5 for _ in instances]

    def __post_init__(self) -> None:
        self.resources, self.operations = Resources(self.project, self.region), Operations()
        self._faults = Faults()
        self._routes = read_routes()
        jobs: dict[str, Work] = {
            "CustomJob": _succeed,
            "HyperparameterTuningJob": _succeed,
            "BatchPredictionJob": _score,
        }
        self._answering = Answering(self.resources, self.operations, jobs | self.work, self._predict)
        self.models, self.endpoints = self._answering.models, self._answering.endpoints

    def __enter__(self) -> StandIn:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": self}))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True, name="stand-in").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def do(self, kind: str, work: Work) -> None:
        """Have jobs of a kind, such as "PipelineJob", done so from now on."""
        self._answering.work[kind] = work

    def refuse(self, method: str, error: RefusedError, times: int = 1) -> None:
        """Refuse the next calls of a method, a regular expression such as "CreatePipelineJob"."""
        self._faults.pending.append(Fault(method, error, times))

    def answer(self, verb: str, target: str, body: bytes) -> dict[str, Any]:
        """Return the body of an answer.

        Raises:
          RefusedError: the request is refused.
        """
        from google.protobuf import json_format

        path, query = parse(target)
        if verb == "GET" and (found := ADDRESS.fullmatch(path)):
            return json_format.MessageToDict(self.operations.poll(found[1]))
        for route in self._routes:
            if route.verb == verb and (match := route.path.fullmatch(path)):
                answer = self._call(route, route.request(match, query, body), json.loads(body or b"{}"))
                if answer is None or isinstance(answer, dict):
                    return answer or {}
                pb = type(answer).pb(answer) if hasattr(type(answer), "pb") else answer
                return json_format.MessageToDict(pb)
        raise RefusedError(404, f"No call of the API is {verb} {path}.")

    def _predict(self, version: str, instances: Sequence[Any]) -> list[Any]:
        return self.predict(version, instances)

    def _call(self, route: Route, request: Any, body: dict[str, Any]) -> Any:
        call = Call(route.name, request, body)
        self.asked.append(call)
        self.before(route.name)
        if fault := self._faults.take(route.name):
            raise fault.error
        answer = self._answering.answer(route.name, request)
        self.calls.append(call)
        return answer


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two wait 40 ms for each other

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers: dict[str, str] = {}
        code = 200
        try:
            content = self.stand_in.answer(self.command, self.path, body)
        except RefusedError as error:
            content, code = error.body(), error.code
            if error.retry_after is not None:
                headers = {"Retry-After": str(error.retry_after)}
        data = json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  # as http.server names them

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _succeed(job: Any) -> None:
    from google.cloud import aiplatform_v1

    job.state = aiplatform_v1.JobState.JOB_STATE_SUCCEEDED


def _score(job: Any) -> None:
    job.output_info.gcs_output_directory = f"{job.output_config.gcs_destination.output_uri_prefix}/prediction-1"
    _succeed(job)
