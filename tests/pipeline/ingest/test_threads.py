"""A stream worked on by threads: order, bounds, errors."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.ingest import threads
from pipeline.ingest.threads import in_order


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)


def test_results_come_in_the_order_of_the_items():
    delays = [random.Random(i).random() / 200 for i in range(40)]

    def work(i: int) -> int:
        time.sleep(delays[i])
        return i * i

    assert list(in_order(work, range(40))) == [i * i for i in range(40)]


def test_several_threads_work_at_once():
    together = threading.Barrier(4, timeout=10)  # broken unless four threads meet
    assert len(list(in_order(lambda _: together.wait(), range(8)))) == 8


def test_no_more_items_are_drawn_than_are_bound_to_be_needed():
    drawn: list[int] = []
    results = in_order(lambda i: i, (drawn.append(i) for i in range(100)))
    for fetched in range(1, 50):
        next(results)
        assert len(drawn) - fetched < 8


def test_an_error_comes_in_its_turn():
    def work(i: int) -> int:
        if i == 3:
            raise ValueError("three")
        return i

    results = in_order(work, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_an_error_of_the_items_passes_through():
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(in_order(lambda i: i, items()))
