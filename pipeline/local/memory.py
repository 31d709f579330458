"""How much memory a run takes, its processes together."""

from __future__ import annotations

import contextlib
import threading

import psutil

_EVERY_SECONDS = 0.5


class PeakMemory:
    """Looks now and then, from a thread of its own."""

    def __init__(self, pid: int | None = None) -> None:
        """Begin to look at a process and all below it; default: this one."""
        self._pid, self._peak = pid, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Stop looking.

        Returns:
          The most that they held at a time, in MiB; a page that several share counts once.
        """
        self._over.set()
        self._thread.join()
        return round(self._peak / 2**20)

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, _held(self._pid))
            if self._over.wait(_EVERY_SECONDS):
                return


def _held(pid: int | None) -> int:
    total = 0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.uss)  # without "proportional" numbers: what is not shared
    return total


def _family(pid: int | None) -> list[psutil.Process]:
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
