"""What the doctor says of memory and of disks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.doctor.disk import judge_files, judge_space, try_folder
from pipeline.doctor.findings import Finding
from pipeline.doctor.memory import Memory, cgroup_memory, judge_memory

GIB = 2**30


@pytest.mark.parametrize(
    ("free", "state", "found"),
    [
        (4 * GIB, "ok", "4.0 GB free of 16.0 GB"),
        (2 * GIB, "warning", "2.0 GB free of 16.0 GB; with less than 3.0 GB it may get tight."),
        (GIB, "problem", "1.0 GB free of 16.0 GB; a run takes about 1.3 GB, more with larger data: expected 1.5 GB."),
    ],
)
def test_memory_is_compared_with_what_a_run_takes(free: int, state: str, found: str) -> None:
    judged = judge_memory(Memory(16 * GIB, free))
    assert (judged.state, judged.found) == (state, found)
    assert bool(judged.cure) == (state != "ok")


def test_a_containers_limit_counts_more_than_the_machine() -> None:
    judged = judge_memory(Memory(16 * GIB, 8 * GIB, limit=GIB, used=GIB // 2))
    assert judged.state == "problem"
    assert judged.found.startswith("0.5 GB free of the 1.0 GB that this container may use, of 16.0 GB; a run takes")
    assert judged.cure.startswith("Raise the container's limit (docker run --memory=4g")


def test_limits_of_both_versions_of_control_groups_are_read(tmp_path: Path) -> None:
    files = {
        "inner/memory.max": "max",
        "memory.max": f"{2 * GIB}",
        "memory.current": "1000",
        "memory.stat": "anon 1\ninactive_file 400",
        "memory/docker/memory.limit_in_bytes": f"{GIB}",
        "memory/docker/memory.usage_in_bytes": "500",
        "memory/docker/memory.stat": "inactive_file 1\ntotal_inactive_file 100",
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    total = 8 * GIB
    assert cgroup_memory("0::/inner/most\n", tmp_path, total) == (2 * GIB, 600)
    assert cgroup_memory("9:pids:/\n4:cpu,memory:/docker/unseen\n", tmp_path, total) == (GIB, 400)
    assert cgroup_memory("4:memory:/elsewhere\n", tmp_path, total) == (None, None)
    assert cgroup_memory("", tmp_path, total) == (None, None)


def test_a_folder_that_can_do_all_is_left_as_it_was(tmp_path: Path) -> None:
    expected = f"{tmp_path} is writable, with renaming of folders, symbolic links, flock, SQLite"
    assert [*try_folder(tmp_path)] == [Finding("disk", "ok", expected)]
    assert os.listdir(tmp_path) == []


def test_a_file_system_that_takes_no_bytes_is_told_by_what_fails_there(repository: Path, tmp_path: Path) -> None:
    """With a limit of zero bytes a file, folders and links can still be made: nearly a full disk."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "import pathlib; from pipeline.doctor import disk\n"
        f"for one in [*disk.try_folder(pathlib.Path({str(tmp_path)!r})), disk.judge_temporary()]: print(one)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    renaming, sqlite, temporary = done.stdout.splitlines()
    assert f"{tmp_path}: no renaming of folders there ([Errno 27] File too large), which models are pushed by." in renaming
    assert f"{tmp_path}: no SQLite there (" in sqlite
    assert "Choose another --root, on a local disk (ext4, xfs, overlay)." in sqlite
    assert "state='problem', found='No folder for temporary files is writable.'" in temporary
    assert os.listdir(tmp_path) == []


def test_room_is_compared_with_the_data(tmp_path: Path) -> None:
    assert judge_space(tmp_path, 5 * GIB) == Finding("disk", "ok", f"5.0 GB free in {tmp_path}")
    found = judge_space(tmp_path, 5 * GIB, GIB)
    assert (found.check, found.state) == ("space", "warning")
    assert found.found == (
        f"5.0 GB free in {tmp_path}, for 1024.0 MB of data; enough for a run, but every run adds to it: expected 11.0 GB."
    )
    found = judge_space(tmp_path, 3 * GIB, GIB)
    assert (found.state, found.cure) == ("problem", "Make room there, or choose another --root.")
    assert found.found == f"3.0 GB free in {tmp_path}, for 1024.0 MB of data; a run needs 3.2 GB."


@pytest.mark.parametrize(("left", "state"), [(500, "problem"), (5000, "warning"), (50_000, None)])
def test_a_file_system_that_runs_out_of_files_is_told(tmp_path: Path, left: int, state: str | None) -> None:
    statistics = os.statvfs_result((4096, 4096, 10, 10, 10, 100_000, left, left, 0, 255))
    found = [*judge_files(tmp_path, statistics)]
    assert [finding.state for finding in found] == ([state] if state else [])
    if state:
        assert found[0].found == f"room for only {left} more files (inodes) in {tmp_path}"
        assert "`df -i`" in found[0].cure
