"""Runs commands as processes: a container's, or those that a stand-in of a service has to run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.local.stage_processes import StageFailedError, StageProcesses
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.last_words import cause_of_exit
from pipeline.vertex.rehearsal.warm import TaskRequest, can_be_warm, executor_in, module_needed

_PROJECT = str(Path(__file__).resolve().parents[3])
_GRACE_SECONDS = 5.0
_AS_IN_THE_IMAGE = {"PYTHONUNBUFFERED": "1"}  # what is said is logged in that order
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Command:
    """A command of a container.

    Attributes:
      name: of whose it is, for the log.
      argv: with nothing left to fill in.
      log: path of the file that its output is added to.
      folder: that it is run in; made if it is not there.
      environment: beside that of this machine.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Commands:
    """Runs commands, several at a time. Thread-safe."""

    def __init__(self, lock: Path, warm: StageProcesses | None = None, environment: Mapping[str, str] | None = None):
        """Run commands of a root.

        Args:
          lock: the file that they hold while they work.
          warm: forks those it can; None: every command gets an interpreter of its own.
          environment: of all of them; that of a command goes before it.
        """
        self._lock_file, self._warm, self.environment = lock, warm, dict(environment or {})
        self._lock = threading.Lock()
        self._cold: set[subprocess.Popen] = set()
        self.stopping = False

    def run(self, command: Command, doing: Callable[[str], None] = lambda text: None) -> float:
        """Run a command and wait for it.

        Args:
          command: what to run.
          doing: is called with what it says that it does, where it is run in a warm process.

        Returns:
          The seconds that it waited for its process: the first ones do, for TensorFlow to load.

        Raises:
          TaskFailedError: it failed, crashed or was stopped.
        """
        command.folder.mkdir(parents=True, exist_ok=True)
        command.log.parent.mkdir(parents=True, exist_ok=True)
        command.log.touch()
        environment = self.environment | dict(command.environment)
        if self.stopping:
            raise TaskFailedError(INTERRUPTED)
        if self._warm is None or not can_be_warm(command.argv, environment):
            self._run_cold(command, environment)
            return 0.0
        request = TaskRequest(
            stage_id=command.name,
            module=module_needed(command.argv),
            on_beam=executor_in(command.argv).startswith("tfx."),
            log=str(command.log),
            lock=str(self._lock_file),
            tmp_dir=str(command.folder),
            argv=command.argv,
            environment=environment,
            folder=str(command.folder),
        )
        try:
            return self._warm.run(request, doing).seconds_waited
        except StageFailedError as error:
            raise TaskFailedError(str(error)) from None

    def _run_cold(self, command: Command, environment: Mapping[str, str]) -> None:
        program = command.argv[0]
        if re.fullmatch(r"python[\d.]*", program):
            program = sys.executable
        path = os.pathsep.join(filter(None, [_PROJECT, environment.get("PYTHONPATH"), os.environ.get("PYTHONPATH")]))
        with command.log.open("ab") as log, self._lock_file.open("a") as lock:
            begin = log.seek(0, os.SEEK_END)
            fcntl.flock(lock, fcntl.LOCK_SH)
            try:
                process = subprocess.Popen(
                    [program, *command.argv[1:]],
                    cwd=command.folder,
                    env=os.environ | _AS_IN_THE_IMAGE | dict(environment) | {"PYTHONPATH": path, "TMPDIR": str(command.folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock.fileno(),),  # held for as long as it lives, whatever becomes of this process
                    start_new_session=True,  # Ctrl-C on a terminal is for the runner
                )
            except OSError as error:
                raise TaskFailedError(f"{program} cannot be run: {error.strerror}. The image would need it.") from None
        with self._lock:
            self._cold.add(process)
            late = self.stopping
        if late:
            _send(process.pid, signal.SIGTERM)
        code = process.wait()
        _send(process.pid, signal.SIGKILL)  # what it started and left behind
        with self._lock:
            self._cold.discard(process)
        if code:
            told = cause_of_exit(code, str(command.log), begin, executor_in(command.argv))
            raise TaskFailedError(INTERRUPTED if self.stopping else told)

    def stop(self) -> None:
        """End whatever runs, by SIGTERM and soon after by SIGKILL; `run` raises for it in its thread."""
        with self._lock:
            self.stopping = True
            cold = set(self._cold)
        for process in cold:
            _send(process.pid, signal.SIGTERM)
        if self._warm:
            self._warm.stop()
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and cold & self._cold:
            time.sleep(0.05)
        for process in cold & self._cold:
            _send(process.pid, signal.SIGKILL)


def _send(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, what)
