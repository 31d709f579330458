"""Runs stages as soon as what they need is there, several at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:  # imports TFX
    from pipeline.local.execution import CompiledPipeline
    from pipeline.local.results import StageResult
    from pipeline.local.screen import Screen

# A stage keeps some 1.5 GB with TensorFlow in it; half of the machine is for the page cache and for others.
_BYTES_PER_JOB = 3 * 2**30
_NOTICE_SECONDS = 0.2


def default_jobs() -> int:
    """Return how many stages may run at the same time: as many as there are cores, and memory for."""
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().total // _BYTES_PER_JOB))


def run_stages(
    compiled: CompiledPipeline, jobs: int, stop: Callable[[], None], screen: Screen
) -> tuple[list[StageResult], bool]:
    """Run stages until all are done; after a failure or an interrupt none is started any more.

    Args:
      compiled: the pipeline.
      jobs: how many may run at the same time.
      stop: ends those that run, after an interrupt.
      screen: is told.

    Returns:
      A result for each stage in the pipeline's order, and whether somebody interrupted.
    """
    from pipeline.local.results import StageResult

    results = {stage_id: StageResult(stage_id, "skipped") for stage_id in compiled.selection.skipped}
    running: dict[Future[StageResult], str] = {}
    needs, interrupted = compiled.needs, False
    screen.begin([stage_id for stage_id in compiled.stage_ids if stage_id not in results])
    with ThreadPoolExecutor(jobs, "stage") as threads:
        try:
            while True:
                if not any(result.state == "failed" for result in results.values()):
                    for stage_id in _ready(needs, results, running.values())[: jobs - len(running)]:
                        screen.start_stage(stage_id)
                        running[threads.submit(compiled.launch, stage_id, partial(screen.say_doing, stage_id))] = stage_id
                if not running:
                    break
                _collect(running, results, screen)
        except KeyboardInterrupt:
            interrupted = True
            stop()
            while running:
                _collect(running, results, screen)
    screen.end()
    return [results.get(stage_id) or StageResult(stage_id, "not_reached") for stage_id in compiled.stage_ids], interrupted


def _ready(needs: dict[str, set[str]], results: dict[str, StageResult], running: Iterable[str]) -> list[str]:
    started = {*results, *running}
    return [stage_id for stage_id, needed in needs.items() if stage_id not in started and needed <= set(results)]


def _collect(running: dict[Future[StageResult], str], results: dict[str, StageResult], screen: Screen) -> None:
    # Not for ever: an interrupt that comes just before the wait is noticed only after it.
    done, _ = wait(running, timeout=_NOTICE_SECONDS, return_when=FIRST_COMPLETED)
    for future in done:
        stage_id = running.pop(future)
        results[stage_id] = future.result()
        screen.end_stage(results[stage_id])
