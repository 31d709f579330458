"""Processes that run trials, forked from this one, which imports TensorFlow and never runs it.

A trial that takes its process down costs itself: another worker takes its place. Workers end with whoever started them.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol, cast

import psutil
import tensorflow as tf

from models.tuning.running import Outcome, Request, Verdict

_fork = multiprocessing.get_context("fork")
# A worker keeps TensorFlow and the data in memory; half of the machine is for the page cache and for others.
_BYTES_PER_WORKER = 3 * 2**30


class Trains(Protocol):
    """Runs trials in a worker; models.tuning.running.Runner does."""

    def run(self, request: Request, verdict: Verdict) -> Outcome:
        """Run one."""


@dataclass(frozen=True)
class Share:
    """What a worker has of the machine.

    Attributes:
      worker: its number, from 0: which GPU it takes, where there are some.
      threads: that it computes with.
    """

    worker: int
    threads: int


@dataclass(frozen=True)
class Report:
    """What a worker says.

    Attributes:
      worker: which one.
      epoch: that is over, 0 before the first; None when the trial is over.
      metrics: after that epoch.
      outcome: of the trial.
      error: why it failed.
    """

    worker: int
    epoch: int | None = None
    metrics: dict[str, float] | None = None
    outcome: Outcome | None = None
    error: str | None = None


def default_workers() -> int:
    """Return how many trials may run at a time: one for each GPU, or as many as there are cores, and memory for."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    return gpus or max(1, min(os.cpu_count() or 1, psutil.virtual_memory().total // _BYTES_PER_WORKER))


class Workers:
    """A number of processes; to be used in a `with` statement."""

    def __init__(self, number: int, prepare: Callable[[Share], Trains]):
        """Start them.

        Args:
          number: of processes.
          prepare: makes, in a worker and with its share of the machine, what runs trials.
        """
        self._number, self._prepare = number, prepare
        self._processes: dict[int, tuple[BaseProcess, Connection]] = {}
        self._running: set[int] = set()

    def __enter__(self) -> Workers:
        for worker in range(self._number):
            self._start(worker)
        return self

    def __exit__(self, *error: object) -> None:
        for process, connection in self._processes.values():
            connection.close()
            process.kill()
            process.join()

    @property
    def idle(self) -> list[int]:
        """Workers without a trial."""
        return [worker for worker in range(self._number) if worker not in self._running]

    @property
    def running(self) -> list[int]:
        """Workers with one."""
        return sorted(self._running)

    def begin(self, worker: int, request: Request) -> None:
        """Have an idle worker run a trial."""
        self._running.add(worker)
        try:
            self._processes[worker][1].send(request)
        except OSError:  # it died between two trials; its end is noticed as one in a trial
            logging.warning("Worker %d was gone before its trial.", worker)

    def answer(self, worker: int, stop: str | None) -> None:
        """Answer a report of an epoch: why to stop, or None to go on."""
        try:
            self._processes[worker][1].send(stop)
        except OSError:
            logging.warning("Worker %d was gone before it was answered.", worker)

    def reports(self, timeout: float) -> Iterator[Report]:
        """Wait until a worker says something, or some seconds; yield what was said. Each report of an epoch needs an answer."""
        workers = {self._processes[worker][1]: worker for worker in self._running}
        for connection in multiprocessing.connection.wait(list(workers), timeout):
            worker = workers[cast(Connection, connection)]
            try:
                report: Report = cast(Connection, connection).recv()
            except (EOFError, OSError):
                report = Report(worker, error=self._replace(worker))
            if report.epoch is None:
                self._running.discard(worker)
            yield report

    def _start(self, worker: int) -> None:
        ours, theirs = _fork.Pipe()
        others = [connection for _, connection in self._processes.values()]
        share = Share(worker, max(1, (os.cpu_count() or 1) // self._number))
        process = _fork.Process(target=_work, args=(share, theirs, [ours, *others], self._prepare), daemon=True)
        process.start()
        theirs.close()
        self._processes[worker] = process, ours

    def _replace(self, worker: int) -> str:
        """Start a worker in the place of one that died; return how it did."""
        process, connection = self._processes.pop(worker)
        connection.close()
        process.join()
        code = process.exitcode or 0
        self._start(worker)
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        return f"its process {how}" + (", most often for want of memory" if code == -signal.SIGKILL else "")


def _work(share: Share, connection: Connection, others: list[Connection], prepare: Callable[[Share], Trains]) -> None:
    """Run trials until the other end of the connection is gone."""
    for other in others:  # or the end of a search that was killed would never be seen
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    trains: Trains | None = None
    try:
        while True:
            request = connection.recv()
            try:
                trains = trains or prepare(share)
                report = Report(share.worker, outcome=trains.run(request, _asker(share.worker, connection)))
            except (EOFError, BrokenPipeError):
                raise
            except Exception as error:  # whatever a trial raises is that trial's failure
                logging.error("Trial %s failed:\n%s", request.id, traceback.format_exc())
                reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                report = Report(share.worker, error=reason)
            connection.send(report)
    except (EOFError, BrokenPipeError):
        pass
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # no clean-up of what the parent's fork brought along


def _asker(worker: int, connection: Connection) -> Verdict:
    def verdict(epoch: int, metrics: dict[str, float]) -> str | None:
        connection.send(Report(worker, epoch, metrics))
        return connection.recv()

    return verdict
