"""One run at a time on a root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import RootLockedError
from pipeline.local.lock import root_lock

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
    expected = f"Process {holder.pid} is running on {tmp_path}. Wait for it, stop it, or choose another --root."
    assert str(caught.value) == expected


def test_killed_holder_blocks_nobody(holder: subprocess.Popen, tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    with root_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_lock_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with root_lock(tmp_path):
            pass


def test_refusal_does_not_disturb_the_holder(holder: subprocess.Popen, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RootLockedError, match=f"Process {holder.pid} is running"), root_lock(tmp_path):
            pass
    assert holder.poll() is None


def test_another_root_is_free(holder: subprocess.Popen, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with root_lock(tmp_path / "other"):
        assert (tmp_path / "other" / ".lock").read_text() == str(os.getpid())


def test_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), root_lock(tmp_path):
        raise KeyError
    with root_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
