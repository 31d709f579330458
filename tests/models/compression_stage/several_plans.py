"""Runs the workshop on several folders, one after the other: importing TensorFlow takes longer than most plans.

Run as `python -m several_plans <folder with plan.pickle>...`. It writes what the workshop does, and a JSON line {"folder": ...}
before each. Of a folder called "orphaned" the workshop is a process of its own, which this one leaves while a job sleeps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

from models.compression import workshop

ORPHANED = "orphaned"


def main(folders: Sequence[str]) -> None:
    """Run the plans of some folders."""
    for folder in folders:
        print(json.dumps({"folder": folder}), flush=True)
        if os.path.basename(folder) == ORPHANED:
            _leave_alone(folder)
        else:
            workshop.main(folder, os.getppid())


def _leave_alone(folder: str) -> None:
    if os.fork() == 0:
        print(json.dumps({"progress": f"workshop: process {os.getpid()}"}), flush=True)
        workshop.main(folder, os.getppid())
        os._exit(0)
    while not _is_asleep(os.path.join(folder, workshop.LOG_FOLDER, "1-distill.log")):
        time.sleep(0.1)
    os._exit(0)


def _is_asleep(log: str) -> bool:
    if not os.path.exists(log):
        return False
    with open(log, encoding="utf-8") as file:
        return "sleep: process" in file.read()


if __name__ == "__main__":
    main(sys.argv[1:])
