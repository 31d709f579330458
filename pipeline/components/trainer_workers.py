"""Several workers of one training on this machine: a process each, started again when one of them is killed.

What a cluster does for machines, for development and for a rehearsal of preemptions: TF_CONFIG names the workers, all of them
stop when one is lost, and all go on from the last checkpoint.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from pipeline.progress import announce

_MOST_STARTS = 10
_ADDRESS, _ERROR = "127.0.0.1", "error-"


def run_workers(work: Callable[[], None], number: int) -> None:
    """Do the same work in so many processes, which know each other by TF_CONFIG.

    Args:
      work: of a worker. This process must have imported TensorFlow at most: it is forked.
      number: of workers; the first is the chief.

    Raises:
      RuntimeError: a worker failed, or one after another was killed.
    """
    for _ in range(_MOST_STARTS):
        with tempfile.TemporaryDirectory(prefix="workers-") as folder:
            statuses = _run_once(work, number, folder)
            if statuses[0] == 0:
                return  # the chief's is the result, and the others took part in every step of it
            killed = [
                f"worker {n} ({signal.Signals(-status).name})" for n, status in enumerate(statuses) if status and status < 0
            ]
            if not killed:
                raise RuntimeError(_first_error(folder))
        announce(f"{', '.join(killed)} was killed: all workers start again from the last checkpoint")
    raise RuntimeError(
        f"Workers were killed in {_MOST_STARTS} attempts, the last time {', '.join(killed)}: most often by the kernel, for "
        "want of memory. Use fewer `--workers` or a smaller `fit.batch_size`."
    )


def _run_once(work: Callable[[], None], number: int, folder: str) -> list[int | None]:
    """Return how the workers ended: 0, 1, or the negative number of a signal; None where one was stopped for another's sake."""
    addresses = _free_addresses(number)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_child, args=(work, addresses, n, folder), name=f"worker {n}") for n in range(number)]
    for worker in workers:
        worker.start()
    try:
        while True:
            # Looked at once a turn: one that ended in between would be waited for no more, and perhaps nobody else.
            statuses = [worker.exitcode for worker in workers]
            if statuses[0] is not None or any(statuses):
                return statuses
            wait([worker.sentinel for worker, status in zip(workers, statuses, strict=True) if status is None])
    finally:
        _stop(workers)


def _stop(workers: Sequence[ForkProcess]) -> None:
    # Without the lost one they would wait, or end in any of several errors; nothing they hold is not on the disk.
    for worker in workers:
        if worker.exitcode is None:
            worker.kill()
        worker.join()


def _child(work: Callable[[], None], addresses: Sequence[str], position: int, folder: str) -> None:
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": position}}
    )
    tempfile.tempdir = folder  # goes with it, also what a worker that is stopped left
    if position:  # one is enough to say how far they are
        logging.getLogger("pipeline.progress").handlers.clear()
    try:
        work()
    except BaseException as error:
        logging.error("Worker %d failed:\n%s", position, traceback.format_exc())
        with open(os.path.join(folder, f"{_ERROR}{position}"), "w", encoding="utf-8") as file:
            file.write(f"Worker {position} of {len(addresses)} failed: {error}")
        status = 1
    else:
        status = 0
    os._exit(status)  # TensorFlow's threads wait for workers that may be gone


def _first_error(folder: str) -> str:
    """Return what the first worker to fail said: the others only say that it was gone."""
    files = sorted((os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(_ERROR)), key=os.path.getmtime)
    if not files:
        return "A worker ended without a word. The log has its last lines."
    with open(files[0], encoding="utf-8") as file:
        return file.read()


def _free_addresses(number: int) -> list[str]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind((_ADDRESS, 0))
        return [f"{_ADDRESS}:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
