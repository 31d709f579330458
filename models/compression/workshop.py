"""Runs the jobs of a plan side by side, each in a process of its own with a time and a memory limit.

A converter or an interpreter can take its whole process down, for some layers with a segmentation fault. This process
imports TensorFlow, never runs it, and forks a child per job: a child starts in a tenth of a second.
Run as `python -m models.compression.workshop <folder with plan.pickle> <process that asks>`; it writes JSON lines:
{"progress": text}.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import json
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import psutil
import tensorflow as tf

from models.compression.config import Limits
from models.compression.plan import Job, Plan, TimingJob, VariantJob, dependents
from models.compression.work import perform

PLAN_FILE, OUTCOMES_FILE, LOG_FOLDER = "plan.pickle", "outcomes.json", "logs"
_POLL_SECONDS = 0.2
_fork = multiprocessing.get_context("fork")
Announce = Callable[[str], None]


@dataclass
class _Running:
    job: Job
    process: BaseProcess
    messages: Connection
    started: float = field(default_factory=time.monotonic)
    said: str = ""
    error: str | None = None
    finished: bool = False


def run_jobs(plan: Plan, announce: Announce, caller: int) -> dict[str, str | None]:
    """Run all jobs, those that wait for none first.

    Args:
      plan: with the limits.
      announce: takes a line for whoever watches.
      caller: the process that waits for the results, this one's parent; without it nothing goes on.

    Returns:
      {job: None, or why it failed}. Jobs that need a failed one fail with its reason.
    """
    limits = plan.config.limits
    outcomes: dict[str, str | None] = {}
    running: list[_Running] = []
    try:
        while len(outcomes) < len(plan.jobs):
            if os.getppid() != caller:
                raise SystemExit("The process that asked for this is gone.")
            taken = {*outcomes, *(r.job.name for r in running)}
            ready = [job for job in plan.jobs if job.name not in taken and all(need in outcomes for need in job.needs)]
            for job in ready[: (limits.processes or os.cpu_count() or 1) - len(running)]:
                running.append(_start(job, plan))
            multiprocessing.connection.wait(
                [r.messages for r in running] + [r.process.sentinel for r in running], _POLL_SECONDS
            )
            for each in running:
                _listen(each, announce)
                _hold_to(limits, each)
            for each in [r for r in running if not r.process.is_alive()]:
                _listen(each, announce)
                running.remove(each)
                outcomes[each.job.name] = _reason(each, plan)
                if outcomes[each.job.name] is not None:
                    announce(f"{each.job.title}: failed: {outcomes[each.job.name]}")
                    for name in dependents(plan.jobs, each.job.name):
                        outcomes[name] = outcomes[each.job.name]
    finally:
        for each in running:
            each.process.kill()
    return outcomes


def _start(job: Job, plan: Plan) -> _Running:
    ours, theirs = _fork.Pipe(duplex=False)
    threads = max(1, (os.cpu_count() or 1) // (plan.config.limits.processes or os.cpu_count() or 1))
    process = _fork.Process(target=_child, args=(job, plan, theirs, threads), daemon=True)
    process.start()
    theirs.close()
    return _Running(job, process, ours)


def _child(job: Job, plan: Plan, messages: Connection, threads: int) -> None:
    log = os.open(_log_path(plan, job), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()  # where native code crashes, the log says which line called it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)  # children share it
    try:
        perform(job, plan, lambda text: messages.send(("progress", text)))
    except BaseException as error:
        import traceback

        traceback.print_exc()
        messages.send(("error", str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"))
    else:
        messages.send(("done", ""))
    messages.close()
    sys.stdout.flush()
    os._exit(0)  # no clean-up of what the parent's fork brought along


def _listen(each: _Running, announce: Announce) -> None:
    with contextlib.suppress(EOFError, OSError):
        while each.messages.poll():
            kind, text = each.messages.recv()
            if kind == "progress":
                each.said = text
                announce(text)
            elif kind == "error":
                each.error = text
            else:
                each.finished = True


def _hold_to(limits: Limits, each: _Running) -> None:
    if each.error is not None or each.finished or not each.process.is_alive():
        return
    seconds = time.monotonic() - each.started
    if seconds > limits.seconds:
        each.error = f"took longer than {limits.seconds} s. Raise `compression.limits.seconds`."
    else:
        with contextlib.suppress(psutil.Error):
            memory = psutil.Process(each.process.pid).memory_info()
            # Files that are mapped, as the eval split is, go when memory is short.
            used = (memory.rss - getattr(memory, "shared", 0)) / 2**20
            if used > limits.memory_mb:
                each.error = f"used {used:,.0f} MB, {limits.memory_mb:,} are allowed. Raise `compression.limits.memory_mb`."
    if each.error is not None:
        each.process.kill()


def _reason(each: _Running, plan: Plan) -> str | None:
    if each.error is not None or each.finished:
        return each.error
    each.process.join()
    code = each.process.exitcode or 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    during = f" during '{each.said}'" if each.said else ""
    log = os.path.relpath(_log_path(plan, each.job), plan.folder)
    return f"its process {how}{during}: the library under it crashed. {_last_words(plan, each.job)}See {log}."


def _last_words(plan: Plan, job: Job) -> str:
    """Return what a crashed job printed last, before the traceback of the crash itself."""
    with contextlib.suppress(OSError):
        with open(_log_path(plan, job), encoding="utf-8", errors="replace") as file:
            printed = file.read().partition("Fatal Python error")[0]
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        return f"Its last line: {lines[-1][:200]}. " if lines else ""
    return ""


def _log_path(plan: Plan, job: Job) -> str:
    return os.path.join(plan.folder, LOG_FOLDER, f"{job.name}.log")


def main(folder: str, caller: int) -> None:
    """Run the plan in a folder; leave outcomes.json there."""
    with open(os.path.join(folder, PLAN_FILE), "rb") as file:
        plan: Plan = pickle.load(file)
    os.makedirs(os.path.join(folder, LOG_FOLDER), exist_ok=True)

    def announce(text: str) -> None:
        print(json.dumps({"progress": text}), flush=True)

    outcomes = run_jobs(plan, announce, caller)
    # Alone at the end, when nothing else uses the cores; all variants by turns, so that they are compared fairly.
    made = tuple(job.name for job in plan.jobs if isinstance(job, VariantJob) and outcomes[job.name] is None)
    timing = dataclasses.replace(plan, jobs=(TimingJob("timing", "latency of all variants", timed=made),))
    outcomes |= run_jobs(timing, announce, caller)
    with open(os.path.join(folder, OUTCOMES_FILE), "w", encoding="utf-8") as outcomes_file:
        json.dump(outcomes, outcomes_file, indent=1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], int(sys.argv[2]))
