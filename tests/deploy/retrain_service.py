"""The retrain function as a process, and what it talks to: a stand-in of Vertex AI and one of Cloud Storage."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests

FINALIZED = "google.cloud.storage.object.v1.finalized"
SCHEDULE = "pipeline.retrain.schedule"
BUCKET, DATA = "my-project-pipelines", "my-data"
SLOT = "2026-11-26T03:00:00Z"
ENVIRONMENT = {
    "PROJECT": "my-project", "REGION": "europe-west4", "BUCKET": BUCKET, "PIPELINE": "taxi", "DATA_BUCKET": DATA,
    "SPAN_MARKER": "taxi/span-{SPAN:3}/_SUCCESS", "MIN_HOURS_BETWEEN": "2",
}  # fmt: skip


@dataclass
class Storage:
    """Objects by (bucket, name), each with its generation and content; serves the parts of the JSON API that are used."""

    objects: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    page_size: int = 2

    def put(self, bucket: str, name: str, content: bytes = b"") -> int:
        """Write an object; return its generation."""
        generation = time.time_ns()
        self.objects[bucket, name] = (generation, content)
        return generation

    def answer(self, verb: str, target: str, body: bytes) -> tuple[int, bytes]:
        split = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        if verb == "POST" and (upload := re.fullmatch(r"/upload/storage/v1/b/([^/]+)/o", split.path)):
            return 200, json.dumps({"generation": str(self.put(unquote(upload[1]), query["name"], body))}).encode()
        if read := re.fullmatch(r"/storage/v1/b/([^/]+)/o/([^/]+)", split.path):
            found = self.objects.get((unquote(read[1]), unquote(read[2])))
            if found is None or query.get("generation", str(found[0])) != str(found[0]):
                return 404, b"No such object"
            return 200, found[1]
        if listed := re.fullmatch(r"/storage/v1/b/([^/]+)/o", split.path):
            return 200, json.dumps(self._page(unquote(listed[1]), query)).encode()
        return 400, b"unknown call"

    def _page(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
        glob = re.compile("[^/]*".join(map(re.escape, query["matchGlob"].split("*"))))
        names = sorted(n for b, n in self.objects if b == bucket and n.startswith(query["prefix"]) and glob.fullmatch(n))
        first = int(query.get("pageToken", "0"))
        shown = names[first : first + self.page_size]
        page: dict[str, Any] = {"items": [{"name": n, "generation": str(self.objects[bucket, n][0])} for n in shown]}
        return page | ({"nextPageToken": str(first + len(shown))} if first + len(shown) < len(names) else {})

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve; give the address."""

        class Handler(BaseHTTPRequestHandler):
            def _serve(handler) -> None:  # noqa: N805  # `self` is the storage
                body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
                code, content = self.answer(handler.command, handler.path, body)
                handler.send_response(code)
                handler.send_header("Content-Length", str(len(content)))
                handler.end_headers()
                handler.wfile.write(content)

            do_GET = do_POST = _serve  # noqa: N815  # as http.server names them

            def log_message(handler, *_: Any) -> None:  # noqa: N805
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


def slot(minutes_ago: float = 0) -> str:
    """Return the moment of a schedule that was due so long ago, as Cloud Scheduler names it."""
    return f"{datetime.now(timezone.utc) - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Function:
    """The function, at its address."""

    address: str
    log_file: Path

    def send(self, kind: str, data: Any, headers: dict[str, str] | None = None, **attributes: str) -> requests.Response:
        """Post a CloudEvent in its binary form, as Eventarc and Cloud Scheduler do."""
        given = {"id": "1", "source": "//storage.googleapis.com/projects/_/buckets/x", "type": kind, "specversion": "1.0"}
        sent = {f"ce-{name}": value for name, value in (given | attributes).items()} | (headers or {})
        return requests.post(self.address, json=data, headers=sent, timeout=60)

    def finalized(self, bucket: str, name: str, generation: int, **attributes: str) -> requests.Response:
        """Tell of an object that was written."""
        data = {"bucket": bucket, "name": name, "generation": str(generation), "metageneration": "1"}
        return self.send(FINALIZED, data, **attributes)

    def scheduled(self, slot: str = SLOT) -> requests.Response:
        """Come at the time of a schedule."""
        return self.send(SCHEDULE, {}, {"X-CloudScheduler-ScheduleTime": slot, "X-CloudScheduler": "true"})

    def log(self) -> list[dict[str, Any]]:
        """Return what it logged in JSON."""
        lines = self.log_file.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def last(self) -> tuple[str, str]:
        """Severity and message of its last entry."""
        entry = self.log()[-1]
        return entry["severity"], entry["message"]


@contextlib.contextmanager
def serving(venv: Path, source: Path, log_file: Path, environment: dict[str, str]) -> Iterator[Function]:
    """Serve the function by the real framework, as Google's buildpack starts it, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [venv / "bin/functions-framework", "--target=retrain", "--source=main.py", "--host=127.0.0.1", f"--port={port}"]
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1"}
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=source, env=clean | environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, port, log_file)
        yield Function(f"http://127.0.0.1:{port}/", log_file)
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"The function does not serve:\n{log_file.read_text('utf-8')}")
