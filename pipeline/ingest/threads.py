"""Work on a stream by several threads, in bounded memory, with the results in order."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Arrow, NumPy and zlib work outside Python's lock, but hashing and the reader do not: more threads than these only wait.
MAX_THREADS = 8


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield work(item) for each item, in the order of the items.

    Items are drawn by the caller's thread, and no more than two per thread are under way or waiting to be fetched. An error of
    an item, or of the iterable, comes out in its turn.
    """
    num_threads = min(os.cpu_count() or 1, MAX_THREADS)
    pending: collections.deque[Future[Result]] = collections.deque()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) == 2 * num_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
