"""Stages run as soon as they can, side by side, and none is started after a failure or an interrupt."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from pipeline.local.results import StageResult
from pipeline.local.scheduling import default_jobs, run_stages
from pipeline.local.screen import Screen
from pipeline.local.selection import Selection

NEEDS = {
    "read": set(),
    "schema": set(),
    "train": {"read", "schema"},
    "judge": {"train"},
    "compress": {"train"},
    "push": {"judge", "compress"},
}


class Pretended:
    """Stages that do what a test says, and notes of which ran side by side."""

    def __init__(self, work: Callable[[str], None], failing: tuple[str, ...] = (), skipped: tuple[str, ...] = ()):
        self.stage_ids, self.needs, self.selection = list(NEEDS), NEEDS, Selection(skipped=frozenset(skipped))
        self.started: list[str] = []
        self.together: set[frozenset[str]] = set()
        self._work, self._failing, self._now, self._lock = work, failing, set(), threading.Lock()

    def launch(self, stage_id: str, doing: Callable[[str], None]) -> StageResult:
        with self._lock:
            self.started.append(stage_id)
            self._now.add(stage_id)
            self.together.add(frozenset(self._now))
        doing("something")
        self._work(stage_id)
        with self._lock:
            self._now.discard(stage_id)
        return StageResult(stage_id, "failed" if stage_id in self._failing else "ran")


def run(pretended: Pretended, jobs: int, stop: Callable[[], None] = lambda: None):
    return run_stages(pretended, jobs, stop, Screen(io.StringIO()))  # type: ignore[arg-type]


def meet(*stage_ids: str) -> Callable[[str], None]:
    """Return work that these stages can only do together."""
    barrier = threading.Barrier(len(stage_ids))
    return lambda stage_id: barrier.wait(30) and None if stage_id in stage_ids else None


@pytest.mark.parametrize("pair", [("read", "schema"), ("judge", "compress")])
def test_stages_that_do_not_need_each_other_run_side_by_side(pair: tuple[str, str]) -> None:
    results, interrupted = run(Pretended(meet(*pair)), jobs=2)
    assert [(result.id, result.state) for result in results] == [(stage_id, "ran") for stage_id in NEEDS]
    assert not interrupted


def test_a_stage_waits_for_all_it_needs() -> None:
    pretended = Pretended(lambda stage_id: time.sleep(0.05 if stage_id in ("schema", "compress") else 0))
    run(pretended, jobs=6)
    for stage_id, needed in NEEDS.items():
        assert needed <= set(pretended.started[: pretended.started.index(stage_id)])
    assert not any({"train", "schema"} <= together or {"push", "compress"} <= together for together in pretended.together)


def test_no_more_than_asked_for_run_at_a_time() -> None:
    pretended = Pretended(lambda stage_id: time.sleep(0.02))
    run(pretended, jobs=1)
    assert max(map(len, pretended.together)) == 1


def test_after_a_failure_none_is_started_and_what_runs_may_finish() -> None:
    pretended = Pretended(lambda stage_id: time.sleep(0.2 if stage_id == "compress" else 0), failing=("judge",))
    results, interrupted = run(pretended, jobs=2)
    states = {result.id: result.state for result in results}
    assert states == {
        "read": "ran",
        "schema": "ran",
        "train": "ran",
        "judge": "failed",
        "compress": "ran",
        "push": "not_reached",
    }
    assert not interrupted


def test_an_interrupt_stops_what_runs_and_starts_nothing_more() -> None:
    released = threading.Event()

    def work(stage_id: str) -> None:
        if stage_id == "train":
            os.kill(os.getpid(), signal.SIGINT)
            assert released.wait(30)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        results, interrupted = run(Pretended(work), jobs=2, stop=released.set)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert interrupted
    assert [result.state for result in results] == ["ran", "ran", "ran", "not_reached", "not_reached", "not_reached"]


def test_jobs_are_as_many_as_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        total = 7 * 2**30

    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert default_jobs() == 2
    Memory.total = 2**30
    assert default_jobs() == 1


def test_skipped_stages_are_not_launched() -> None:
    pretended = Pretended(lambda stage_id: None, skipped=("compress", "push"))
    results, _ = run(pretended, 2)
    states = {result.id: result.state for result in results}
    assert states == dict.fromkeys(NEEDS, "ran") | {"compress": "skipped", "push": "skipped"}
    assert not {"compress", "push"} & set(pretended.started)
