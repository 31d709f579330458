"""How much memory a run takes, its processes together."""

from __future__ import annotations

import contextlib
import threading

import psutil

_EVERY_SECONDS = 0.5


class PeakMemory:
    """Looks now and then, from a thread of its own."""

    def __init__(self) -> None:
        """Begin."""
        self._peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Stop looking.

        Returns:
          The most that this process and all below it held at a time, in MiB; a page that several share counts once.
        """
        self._over.set()
        self._thread.join()
        return round(self._peak / 2**20)

    def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, _held())
            if self._over.wait(_EVERY_SECONDS):
                return


def _held() -> int:
    this = psutil.Process()
    total = 0
    for process in [this, *this.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.uss)  # without "proportional" numbers: what is not shared
    return total
