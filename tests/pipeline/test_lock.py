"""One run at a time on a root."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import RootLockedError
from pipeline.local.lock import STAGES_LOCK_FILE, hold_with_other_stages, holder_pid, root_lock

HOLD = "import sys; from pathlib import Path; from pipeline.local.lock import root_lock\n"
HOLD += "with root_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(repository: Path, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_second_process_is_refused_and_told_who_holds_the_root(holder: subprocess.Popen, tmp_path: Path) -> None:
    with pytest.raises(RootLockedError) as caught, root_lock(tmp_path):
        pass
    expected = rf"Process {holder.pid} \(since \S+Z\) is running on {tmp_path}. Wait for it, stop it, or choose another --root."
    assert re.fullmatch(expected, str(caught.value))
    assert holder_pid(tmp_path) == holder.pid


def test_killed_holder_blocks_nobody(holder: subprocess.Popen, tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    with root_lock(tmp_path):
        assert holder_pid(tmp_path) == os.getpid()


def test_lock_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with root_lock(tmp_path):
            pass


def test_refusal_does_not_disturb_the_holder(holder: subprocess.Popen, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RootLockedError, match=f"Process {holder.pid} "), root_lock(tmp_path):
            pass
    assert holder.poll() is None


def test_another_root_is_free(holder: subprocess.Popen, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with root_lock(tmp_path / "other"):
        assert holder_pid(tmp_path / "other") == os.getpid()


STAGE = "import sys, time; from pipeline.local.lock import hold_with_other_stages\n"
STAGE += "hold_with_other_stages(sys.argv[1]); print('held', flush=True); time.sleep(float(sys.argv[2]))"


def stage(repository: Path, root: Path, seconds: float) -> subprocess.Popen:
    """Start what a runner that was killed may leave for a moment."""
    command = [sys.executable, "-c", STAGE, str(root / STAGES_LOCK_FILE), str(seconds)]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_run_begins_only_when_the_stages_of_a_killed_one_have_ended(repository: Path, tmp_path: Path) -> None:
    left = stage(repository, tmp_path, 1.0)
    with root_lock(tmp_path), (tmp_path / STAGES_LOCK_FILE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while a stage is at work
    assert left.wait(5) == 0


def test_stages_that_do_not_end_are_named(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.local.lock._STAGES_END_SECONDS", 0.2)
    left = stage(repository, tmp_path, 60.0)
    try:
        expected = rf"Stages of an earlier run still work on {tmp_path} \(process {left.pid}\). End them, then run again."
        with pytest.raises(RootLockedError, match=expected), root_lock(tmp_path):
            pass
    finally:
        left.kill()
        left.wait()


def test_stage_of_a_run_that_was_taken_over_does_not_begin(repository: Path, tmp_path: Path) -> None:
    with (tmp_path / STAGES_LOCK_FILE).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RootLockedError, match="Another run has taken over the root"):
            hold_with_other_stages(str(tmp_path / STAGES_LOCK_FILE))


def test_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), root_lock(tmp_path):
        raise KeyError
    with root_lock(tmp_path):
        assert holder_pid(tmp_path) == os.getpid()
