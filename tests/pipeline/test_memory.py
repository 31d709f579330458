"""The peak of a run counts its processes together, and shared pages once."""

from __future__ import annotations

import subprocess
import sys
import time

from pipeline.local.memory import PeakMemory

HOLD = "import time; data = bytearray(300 * 2**20); time.sleep(1.5)"
SHARE = "import os, time; data = bytearray(300 * 2**20); os.fork(); time.sleep(1.5)"


def peak_while(program: str) -> int:
    memory = PeakMemory()
    subprocess.run([sys.executable, "-c", program], check=True)
    time.sleep(0.1)
    return memory.stop()


def test_memory_of_children_counts() -> None:
    assert peak_while(HOLD) - peak_while("pass") > 250


def test_pages_that_processes_share_count_once() -> None:
    assert peak_while(SHARE) - peak_while(HOLD) < 100
