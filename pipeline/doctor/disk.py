"""Whether the disk that a root is on, or will be, has room and can do what runs ask of it: tried in a scratch folder there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

# Of the taxi data a run keeps 1.5 times their bytes as examples, raw and transformed, and 4 MB of models and books.
_TIMES_NEEDED, _TIMES_ENOUGH = 3, 10
_LEAST_BYTES, _ENOUGH_BYTES = 200 * 2**20, 2**30
_LEAST_FILES, _ENOUGH_FILES = 1_000, 10_000  # a run leaves some 200
_COMPRESSED_BY = 5
_OTHER_ROOT = "Choose another --root, on a local disk (ext4, xfs, overlay)."


def check_disk(subject: Subject) -> Iterator[Finding]:
    """Look at the folder of the root, and at the one for temporary files."""
    folder = _existing(subject.place)
    try:
        yield from try_folder(folder)
    except OSError as error:
        yield problem(
            "disk",
            f"No file can be made in {folder}, for the root {subject.place}: {error.strerror}.",
            f"Make it writable (chown or chmod {folder}), or choose another --root.",
        )
    else:
        if subject.config is None:
            yield judge_space(folder, shutil.disk_usage(folder).free)
        yield from judge_files(folder, os.statvfs(folder))
    yield judge_temporary()


def check_space(subject: Subject) -> Iterator[Finding]:
    """Compare the room for the root with the size of the config's data."""
    folder = _existing(subject.place)
    yield judge_space(folder, shutil.disk_usage(folder).free, data_bytes(subject))


def _existing(path: Path) -> Path:
    """Return the path itself, or the nearest folder above it that there is."""
    return next((folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists()), Path("/"))


def data_bytes(subject: Subject) -> int:
    """Return the bytes of the config's local data, once they are decompressed; 0 if they cannot be told."""
    from pipeline.data_config import BigQueryData
    from pipeline.errors import PipelineError
    from pipeline.ingest.source import is_compressed, resolve_package
    from pipeline.local.preflight import data_files
    from pipeline.remote import is_remote

    config = subject.experiment
    if isinstance(config.data, BigQueryData):
        return 0
    with contextlib.suppress(PipelineError, OSError):  # for the check of the data to tell
        if is_remote(resolve_package(config.data.path)):
            return 0
        files = data_files(config.data)
        return sum(os.path.getsize(path) * (_COMPRESSED_BY if is_compressed(path) else 1) for path in files)
    return 0


def judge_space(folder: Path, free_bytes: int, size_bytes: int = 0) -> Finding:
    """Say whether a run's artifacts have room.

    Args:
      folder: the nearest there is to the root.
      free_bytes: there.
      size_bytes: of the data; 0 if they are not known.
    """
    found = f"{free_bytes / 2**30:.1f} GB free in {folder}" + (
        f", for {size_bytes / 2**20:.1f} MB of data" if size_bytes else ""
    )
    needed = _LEAST_BYTES + _TIMES_NEEDED * size_bytes
    enough = _ENOUGH_BYTES + _TIMES_ENOUGH * size_bytes
    cure = "Make room there, or choose another --root."
    check = "space" if size_bytes else "disk"
    if free_bytes < needed:
        return problem(check, f"{found}; a run needs {needed / 2**30:.1f} GB.", cure)
    if free_bytes < enough:
        return warning(check, f"{found}; enough for a run, but every run adds to it: expected {enough / 2**30:.1f} GB.", cure)
    return ok(check, found)


def judge_files(folder: Path, statistics: os.statvfs_result) -> Iterator[Finding]:
    """Say whether a file system that counts its files (inodes) has some left."""
    if not statistics.f_files or statistics.f_favail >= _ENOUGH_FILES:
        return
    found = f"room for only {statistics.f_favail} more files (inodes) in {folder}"
    cure = "Remove small files there (`df -i` shows the count), or choose another --root."
    yield (problem if statistics.f_favail < _LEAST_FILES else warning)("disk", found, cure)


def judge_temporary() -> Finding:
    """Say whether temporary files can be made, and have room."""
    try:
        folder = tempfile.gettempdir()  # which tries to write there
    except FileNotFoundError:
        return problem("disk", "No folder for temporary files is writable.", "Set TMPDIR to one that is, with 1 GB free.")
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.1f} GB free for temporary files in {folder}"
    if free < _LEAST_BYTES:
        return problem("disk", f"{found}.", "Set TMPDIR to a folder with 1 GB free.")
    return warning("disk", f"{found}.", "Set TMPDIR to a folder with 1 GB free.") if free < _ENOUGH_BYTES else ok("disk", found)


def try_folder(folder: Path) -> Iterator[Finding]:
    """Try in a scratch folder, which is removed again, what a runner does in its root.

    Raises:
      OSError: nothing can be written there at all.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".doctor-", dir=folder))
    failed = False
    try:
        for what, (attempt, purpose) in _ATTEMPTS.items():
            try:
                attempt(scratch)
            except (OSError, sqlite3.Error) as error:
                failed = True
                yield problem("disk", f"{folder}: no {what} there ({error}), which {purpose}.", _OTHER_ROOT)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not failed:
        yield ok("disk", f"{folder} is writable, with {', '.join(_ATTEMPTS)}")


def _rename_folder(scratch: Path) -> None:
    (scratch / "new").mkdir()
    (scratch / "new" / "model").write_text("x", "utf-8")
    (scratch / "new").rename(scratch / "version")
    if (scratch / "version" / "model").read_text("utf-8") != "x":
        raise OSError("the content is gone")


def _replace_link(scratch: Path) -> None:
    for name in ("first", "second"):
        (scratch / "link.new").symlink_to(name)
        (scratch / "link.new").replace(scratch / "link")
    if os.readlink(scratch / "link") != "second":
        raise OSError("the link was not replaced")


def _exclude(scratch: Path) -> None:
    with (scratch / "lock").open("a") as one, (scratch / "lock").open("a") as other:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise OSError("two hold the same lock")


def _keep_books(scratch: Path) -> None:
    with contextlib.closing(sqlite3.connect(scratch / "books.db")) as books:
        books.execute("CREATE TABLE events (id INTEGER)")
        books.execute("INSERT INTO events VALUES (1)")
        books.commit()


_ATTEMPTS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "renaming of folders": (_rename_folder, "models are pushed by"),
    "symbolic links": (_replace_link, "`runs/latest` is"),
    "flock": (_exclude, "keeps two runs apart"),
    "SQLite": (_keep_books, "ML Metadata is kept in"),
}
