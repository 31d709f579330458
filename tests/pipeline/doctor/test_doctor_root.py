"""What the doctor says of a root: of its lock, its ML Metadata, and of one that cannot be written."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.doctor.disk import check_disk
from pipeline.doctor.findings import Finding
from pipeline.doctor.root import check_root, look_at_metadata
from pipeline.doctor.subject import Subject

HOLD = """
import subprocess, sys
from pathlib import Path
from pipeline.local.lock import root_lock
with root_lock(Path(sys.argv[1])) as _:
    if len(sys.argv) > 2:  # leave the lock to a child
        import fcntl, os
        for name in os.listdir("/proc/self/fd"):
            if os.path.realpath(f"/proc/self/fd/{name}").endswith("/.lock"):
                os.set_inheritable(int(name), True)
        child = subprocess.Popen(["sleep", "60"], close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        os._exit(0)
    print("held", flush=True)
    sys.stdin.read()
"""


def look(root: Path) -> list[Finding]:
    return [*check_root(Subject(root=root))]


def hold(repository: Path, root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(root), *arguments]
    return subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    """A real store with 2,000 executions."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    path = tmp_path / "metadata.db"
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    store = metadata_store.MetadataStore(connection)
    type_id = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Trainer"))
    store.put_executions([metadata_store_pb2.Execution(type_id=type_id, name=f"run {i}") for i in range(2000)])
    return path


def test_a_root_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    root = tmp_path / "none"
    assert look(root) == [Finding("root", "ok", f"{root} does not exist yet: the first run makes it")]
    assert not root.exists()


def test_a_root_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_text("")
    assert look(root) == [Finding("root", "problem", f"{root} is a file.", "Choose another --root: a folder.")]


def test_whole_metadata_are_counted_and_left_as_they_are(metadata: Path) -> None:
    before = metadata.read_bytes()
    assert look(metadata.parent) == [
        Finding("root", "ok", "no run is using it"),
        Finding("root", "ok", f"{metadata} is whole: 2000 executions"),
    ]
    assert metadata.read_bytes() == before
    assert os.listdir(metadata.parent) == ["metadata.db"]


def damaged(path: Path, what: str) -> Finding:
    cure = (
        "Run: the copy of the last finished run, metadata.backup.db, takes its place, and what ran since runs anew. "
        "Without a copy everything does; pushed models stay."
    )
    return Finding("root", "warning", f"{path} is damaged: {what}.", cure)


def test_metadata_that_are_overwritten_in_the_middle_are_a_problem(metadata: Path) -> None:
    content = bytearray(metadata.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = b"\xff" * 8192
    metadata.write_bytes(content)
    found = look_at_metadata(metadata)
    assert (found.state, found.cure) == ("warning", damaged(metadata, "").cure)
    assert found.found.startswith(f"{metadata} is damaged: ")
    assert "is damaged: ." not in found.found


def test_what_is_no_database_or_another_one_is_a_problem(metadata: Path) -> None:
    metadata.write_bytes(b"not a database at all" * 100)
    assert look_at_metadata(metadata) == damaged(metadata, "file is not a database")
    metadata.unlink()
    with sqlite3.connect(metadata) as other:
        other.execute("CREATE TABLE notes (id INTEGER)")
    other.close()
    assert look_at_metadata(metadata) == damaged(metadata, "it holds no ML Metadata")


def test_metadata_that_are_being_written_are_a_warning(metadata: Path) -> None:
    writer = sqlite3.connect(metadata, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    found = look_at_metadata(metadata)
    writer.close()
    expected = f"{metadata} is being written to: not checked."
    assert found == Finding("root", "warning", expected, "Look again when the run is over.")


def test_metadata_whose_writer_was_killed_are_a_warning_and_stay_as_they_are(metadata: Path) -> None:
    program = (
        "import os, signal, sqlite3, sys\n"
        "store = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "store.execute('PRAGMA cache_size = 1')\n"
        "store.execute('BEGIN')\n"
        "store.execute('UPDATE Execution SET name = name || hex(randomblob(200))')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, metadata], check=False).returncode == -signal.SIGKILL
    assert Path(f"{metadata}-journal").exists()
    expected = f"{metadata} was interrupted while it was written: not checked."
    assert look_at_metadata(metadata) == Finding("root", "warning", expected, "Run once: it undoes the rest.")
    assert Path(f"{metadata}-journal").exists()
    sqlite3.connect(metadata).execute("SELECT COUNT(*) FROM Execution")  # as a run would
    assert look_at_metadata(metadata).found == f"{metadata} is whole: 2000 executions"


def test_a_living_holder_is_a_warning(repository: Path, tmp_path: Path) -> None:
    with hold(repository, tmp_path) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        found, _ = look(tmp_path)
        holder.kill()
    assert found == Finding(
        "root",
        "warning",
        f"Process {holder.pid} is running on {tmp_path}.",
        "Wait for it, stop it, or choose another --root; until then a run ends with exit code 4.",
    )


def test_a_killed_holder_is_none(repository: Path, tmp_path: Path) -> None:
    with hold(repository, tmp_path) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    assert (tmp_path / ".lock").read_text().startswith(f"Process {holder.pid} ")
    assert look(tmp_path)[0] == Finding("root", "ok", "no run is using it")


@pytest.fixture
def orphaned(repository: Path, tmp_path: Path) -> Iterator[int]:
    """The process that took the lock is gone; one that it started keeps it."""
    with hold(repository, tmp_path, "leave it") as holder:
        assert holder.stdout
        child = int(holder.stdout.readline())
        holder.wait()
        yield holder.pid
        os.kill(child, signal.SIGKILL)


def test_a_lock_that_a_dead_process_left_to_another_is_a_warning(orphaned: int, tmp_path: Path) -> None:
    found = look(tmp_path)[0]
    assert found.state == "warning"
    assert found.found.startswith(f"{tmp_path} is held, but process {orphaned}, which took it, is gone: ")
    assert found.cure.startswith(f"Find who holds {tmp_path}/.lock with `lsof` or `fuser`, and end it")


def test_looking_at_the_lock_does_not_take_it(tmp_path: Path) -> None:
    from pipeline.local.lock import holder_pid, root_lock

    (tmp_path / ".lock").write_text("1")
    assert holder_pid(tmp_path) is None
    with root_lock(tmp_path):
        assert holder_pid(tmp_path) == os.getpid()
    assert holder_pid(tmp_path) is None


def test_a_root_that_nobody_can_write_is_a_problem() -> None:
    """Not even the superuser makes files in /sys; why not depends on who asks, and on the container."""
    with pytest.raises(OSError) as caught:
        os.mkdir("/sys/doctor")
    found = next(check_disk(Subject(root=Path("/sys/doctor/root"))))
    assert found == Finding(
        "disk",
        "problem",
        f"No file can be made in /sys, for the root /sys/doctor/root: {caught.value.strerror}.",
        "Make it writable (chown or chmod /sys), or choose another --root.",
    )


def test_a_root_below_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = next(check_disk(Subject(root=tmp_path / "file" / "root")))
    assert found.found == f"No file can be made in {tmp_path}/file, for the root {tmp_path}/file/root: Not a directory."
