"""What a run prints, where nobody can take it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SAY = """
from pipeline.local.output import redirected_output

with redirected_output() as output:
    for number in range(20_000):  # more than any buffer holds
        print("a line", number, file=output.screen)
    print("library chatter")
    print("an error", file=output.errors)
    print("\\N{LATIN SMALL LETTER U WITH DIAERESIS}", file=output.errors)
"""


def say(repository: Path, stdout: int) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", SAY]
    return subprocess.run(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False)


def test_screen_and_errors_are_the_users_and_the_rest_is_not(repository: Path) -> None:
    done = say(repository, subprocess.PIPE)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [f"a line {number}" for number in range(20_000)]
    assert done.stderr.decode() == "an error\nü\n"


def test_full_disk_under_the_screen_stops_nothing(repository: Path) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    done = say(repository, descriptor)
    os.close(descriptor)
    assert (done.returncode, done.stderr.decode()) == (0, "an error\nü\n")


def test_reader_that_is_gone_stops_nothing(repository: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = say(repository, writing)
    os.close(writing)
    assert (done.returncode, done.stderr.decode()) == (0, "an error\nü\n")
