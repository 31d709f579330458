"""The runner's side of `stage_server`: executors run in processes of their own, and how each of them ended is known."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Protocol

from pipeline.errors import PipelineError
from pipeline.local.preloading import LIGHT_STAGES

_PROJECT = Path(__file__).resolve().parents[2]
_INTERRUPTED = "interrupted"
_GRACE_SECONDS, _NOTICE_SECONDS = 5.0, 0.5


class StageFailedError(PipelineError):
    """An executor failed: its text is the cause."""


class Request(Protocol):
    """What a server needs of what it is to run: see StageRequest, which is one."""

    @property
    def stage_id(self) -> str: ...
    @property
    def module(self) -> str: ...
    @property
    def on_beam(self) -> bool: ...
    @property
    def log(self) -> str: ...
    @property
    def lock(self) -> str: ...
    @property
    def tmp_dir(self) -> str: ...

    def execute(self) -> bytes:
        """Run, in the process that is forked for it."""


class Ran(NamedTuple):
    """An executor's output, serialized, and how long it waited for its process: the first ones do, for TensorFlow to load."""

    output: bytes
    seconds_waited: float


class StageProcesses:
    """Two servers that fork a process for every stage. Thread-safe.

    They may outlive a run: whoever runs several pipelines pays for the imports once.
    """

    def __init__(self, preloaded: Mapping[str, Sequence[str]] | None = None) -> None:
        """Start nothing yet.

        Args:
          preloaded: modules that the servers "light" and "heavy" import before all others. Default: none.
        """
        self._preloaded = preloaded or {}
        self._servers: dict[str, tuple[subprocess.Popen, socket.socket]] = {}
        self._lock = threading.Lock()
        self._pids: set[int] = set()
        self._stopping = False

    def start(self, lazy: bool) -> None:
        """Start the servers, in a second or ten, without waiting for them; does nothing where they run.

        Args:
          lazy: leave the imports of TensorFlow until a stage needs them: for a run that will reuse everything.
        """
        self._stopping = False
        if not self._servers:
            light, heavy = (self._preloaded.get(kind, ()) for kind in ("light", "heavy"))
            self._servers = {"light": _server("light", light), "heavy": _server("lazy" if lazy else "heavy", heavy)}

    def run(self, request: Request, doing: Callable[[str], None]) -> Ran:
        """Run an executor and wait for it.

        Args:
          request: what to run.
          doing: is called, from this thread, with what the stage says it is doing.

        Raises:
          StageFailedError: it failed, crashed or was stopped.
        """
        with self._lock:
            if self._stopping:
                raise StageFailedError(_INTERRUPTED)
            _, control = self._servers["light" if request.module in LIGHT_STAGES else "heavy"]
            ours, theirs = socket.socketpair()
            try:
                socket.send_fds(control, [b"."], [theirs.fileno()])
            except OSError as error:
                raise StageFailedError("The process that runs stages has died; the log may say why.") from error
            finally:
                theirs.close()
        with Connection(ours.detach()) as channel:
            return self._wait(channel, request, doing)

    def _wait(self, channel: Connection, request: Request, doing: Callable[[str], None]) -> Ran:
        asked, waited = time.monotonic(), 0.0
        output: bytes | None = None
        cause: str | None = None
        pid: int | None = None
        try:
            channel.send(request)
            self._wait_for_process(channel, doing)
            while True:
                kind, value = channel.recv()
                if kind == "process":
                    pid, waited = value, time.monotonic() - asked
                    self._remember(value)
                elif kind == "doing":
                    doing(value)
                elif kind == "finished":
                    output = value
                elif kind == "failed":
                    cause = value
                else:
                    return Ran(self._judged(output, cause, value), waited)
        except (EOFError, OSError) as error:
            raise StageFailedError("The process that ran it is gone; the log may say why.") from error
        finally:
            with self._lock:
                self._pids.discard(pid or 0)

    def _wait_for_process(self, channel: Connection, doing: Callable[[str], None]) -> None:
        """Wait until the server has forked. It may be importing, for seconds, and an interrupt should not wait for that."""
        told = False
        while not channel.poll(_NOTICE_SECONDS):
            if self._stopping:
                raise StageFailedError(_INTERRUPTED)
            if not told:
                doing("waiting for TensorFlow and Beam to load")
            told = True

    def _remember(self, pid: int) -> None:
        with self._lock:
            self._pids.add(pid)
            late = self._stopping
        if late:
            _send(pid, signal.SIGTERM)

    def _judged(self, output: bytes | None, cause: str | None, status: int) -> bytes:
        if self._stopping and output is None:
            raise StageFailedError(_INTERRUPTED)
        if cause is not None:
            raise StageFailedError(cause)
        if output is None:
            raise StageFailedError(ending(status))
        return output

    def stop(self) -> None:
        """End whatever runs, by SIGTERM and soon after by SIGKILL; `run` raises for it in its thread."""
        with self._lock:
            self._stopping = True
            pids = set(self._pids)
        for pid in pids:
            _send(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and self._running(pids):
            time.sleep(0.05)
        for pid in self._running(pids):
            _send(pid, signal.SIGKILL)

    def _running(self, pids: set[int]) -> set[int]:
        with self._lock:
            return pids & self._pids

    def close(self) -> None:
        """End the servers, and what they run."""
        for _, control in self._servers.values():
            control.close()
        for process, _ in self._servers.values():
            try:
                process.wait(_NOTICE_SECONDS)
            except subprocess.TimeoutExpired:  # in the midst of an import; the kernel ends its children with it
                process.kill()
                process.wait()
        self._servers = {}


def _server(kind: str, preloaded: Sequence[str] = ()) -> tuple[subprocess.Popen, socket.socket]:
    ours, theirs = socket.socketpair()
    path = os.pathsep.join([str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.local.stage_server", str(theirs.fileno()), kind, *preloaded],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C on a terminal is for the runner
        )
    return process, ours


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, what)


def ending(status: int) -> str:
    """Say how a process ended that said nothing itself."""
    if not os.WIFSIGNALED(status):
        return f"Its process ended with status {os.WEXITSTATUS(status)} and no word; the log's last lines may say why."
    name = signal.Signals(os.WTERMSIG(status)).name
    if name == "SIGKILL":
        return "Its process was killed (SIGKILL): most often by the kernel, for want of memory. `dmesg` would say so."
    return f"Its process crashed ({name}). The log's last lines say which call it was in."
