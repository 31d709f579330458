"""Runs the executors of stages: a process that has imported what they need forks a child for each.

Run as `python -m pipeline.local.stage_server <socket> light|heavy|lazy [module to import first ...]`. There are two of them.
The light one has no TensorFlow and takes the stages that look at raw data, the first of them after a second. The heavy one
imports TensorFlow meanwhile, on another core, or, as a lazy one, when the first stage asks for it. Neither runs anything
itself: a stage that crashes takes nobody along.

For each stage the runner sends one end of a pair of sockets. What passes over it are tuples: a StageRequest there, or what
has its fields and its `execute`, and back
("process", pid), ("doing", text), ("finished", ExecutorOutput as bytes) or ("failed", cause), and last ("exit", status as of
os.waitpid).
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from pipeline import lean_imports, progress
from pipeline.local.causes import cause_of
from pipeline.local.lock import hold_with_other_stages
from pipeline.local.preloading import HEAVY, LIGHT, ON_BEAM, Step


@dataclass(frozen=True)
class StageRequest:
    """What a child needs to run an executor.

    Attributes:
      stage_id: for the log.
      execution: TFX's ExecutionInvocation, serialized.
      spec: the executable spec, serialized.
      on_beam: the spec is a BeamExecutableSpec, not a PythonClassExecutableSpec.
      module: that the executor is in.
      log: path of the file that the executor's output goes to.
      lock: path of the file that says whether stages are at work.
      tmp_dir: where it leaves what may be removed when it is done.
    """

    stage_id: str
    execution: bytes
    spec: bytes
    on_beam: bool
    module: str
    log: str
    lock: str
    tmp_dir: str

    def execute(self) -> bytes:
        """Run the executor with TFX's own operator; return its ExecutorOutput."""
        return _execute(self)


def main(control: socket.socket, kind: str, preloaded: Sequence[str] = ()) -> NoReturn:
    """Serve until the runner closes its end, or is gone, however it went: then nothing that was started is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides
    if kind == "lazy":
        select.select([control.fileno()], [], [])
    lean_imports.install()
    importlib.import_module("pipeline.local_files").install()
    Step(modules=tuple(preloaded)).take()
    _Server(control, LIGHT if kind == "light" else HEAVY).serve()


class _Server:
    """Forks children and tells how they ended."""

    def __init__(self, control: socket.socket, steps: Sequence[Step]):
        self._control, self._steps = control, list(steps)
        self._able: set[str] = set()
        self._waiting: list[tuple[StageRequest, Connection]] = []
        self._children: dict[int, Connection] = {}
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)

    def serve(self) -> NoReturn:
        while True:
            self._start_all()  # what the last import made possible
            self._listen(timeout=0 if self._steps or self._waiting else None)
            self._start_all()
            if self._steps:
                self._take(self._steps.pop(0))
            elif self._waiting:
                if any(request.on_beam for request, _ in self._waiting):
                    self._take(ON_BEAM)
                self._able.update(request.module for request, _ in self._waiting)

    def _take(self, step: Step) -> None:
        step.take()
        self._able.update(step.stages)
        gc.collect()
        gc.freeze()  # nothing that children share is touched by their garbage collectors

    def _listen(self, timeout: float | None) -> None:
        ready, _, _ = select.select([self._control.fileno(), self._woken], [], [], timeout)
        if self._woken in ready:
            os.read(self._woken, 4096)
            self._reap()
        if self._control.fileno() in ready:
            data, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
            if not data:  # the runner is done, or gone
                for pid in self._children:
                    _kill_group(pid)
                os._exit(0)
            channel = Connection(descriptors[0])
            with contextlib.suppress(EOFError, OSError):  # it has given up already
                self._waiting.append((channel.recv(), channel))

    def _start_all(self) -> None:
        """Start what waits and can run by now."""
        for request, channel in list(self._waiting):
            if request.module in self._able:
                self._waiting.remove((request, channel))
                self._start(request, channel)

    def _start(self, request: StageRequest, channel: Connection) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = channel
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            for other in (*self._children.values(), *(waiting for _, waiting in self._waiting)):
                other.close()
            status = _child(request, channel)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # without what the parent registered for its own exit

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _kill_group(pid)  # what it started and left behind
                channel = self._children.pop(pid)
                with contextlib.suppress(OSError):  # nobody waits for it any more
                    channel.send(("exit", status))
                channel.close()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _child(request: StageRequest, channel: Connection) -> int:
    """Run one executor in this process; return its exit status."""
    _die_with_parent()
    os.setpgid(0, 0)  # whatever it starts is killed with it
    lock = threading.Lock()

    def tell(*message: Any) -> None:
        with lock:
            channel.send(message)

    tell("process", os.getpid())
    log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable()  # where native code crashes, the log says which line called it
    log_format = f"%(asctime)s %(levelname).1s [{request.stage_id}] %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=log_format, stream=sys.stderr, force=True)
    progress.listen(lambda text: tell("doing", text))
    try:
        hold_with_other_stages(request.lock)
        # TFX removes that folder; AutoGraph's files, for one, nobody would.
        os.makedirs(request.tmp_dir, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = request.tmp_dir
        output = request.execute()
    except BaseException as error:  # whatever a stage raises is that stage's failure
        logging.error("Stage %s failed:\n%s", request.stage_id, traceback.format_exc())
        tell("failed", cause_of(error))
        return 1
    tell("finished", output)
    return 0


def _execute(request: StageRequest) -> bytes:
    """Run the executor with TFX's own operator; return its ExecutorOutput."""
    from tfx.orchestration.portable import data_types, python_executor_operator
    from tfx.proto.orchestration import executable_spec_pb2, execution_invocation_pb2
    from tfx.utils import import_utils

    info = data_types.ExecutionInfo.from_proto(execution_invocation_pb2.ExecutionInvocation.FromString(request.execution))
    sys.argv = sys.argv[:1]  # TFX hands the rest to executors
    if request.on_beam:
        spec = executable_spec_pb2.BeamExecutableSpec.FromString(request.spec)
        executor = import_utils.import_class_by_path(spec.python_executor_spec.class_path)
        if any(base.__name__ == "BaseBeamExecutor" for base in executor.__mro__):
            from tfx.orchestration.portable import beam_executor_operator

            return beam_executor_operator.BeamExecutorOperator(spec).run_executor(info).SerializeToString()
        python_spec = spec.python_executor_spec  # ExampleGen's is one of Beam by name only: no seconds for Beam's import
    else:
        python_spec = executable_spec_pb2.PythonClassExecutableSpec.FromString(request.spec)
    return python_executor_operator.PythonExecutorOperator(python_spec).run_executor(info).SerializeToString()


def _die_with_parent() -> None:
    # The server kills what it started, but may itself be killed. Only Linux knows this.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], sys.argv[3:])
