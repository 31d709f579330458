"""Where data lies: a file, a folder, a glob, or a file inside an installed package."""

from __future__ import annotations

import glob
import importlib.util
import io
import os
import threading
from typing import BinaryIO

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.remote import is_remote

PACKAGE_SCHEME = "package://"
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
# What a folder is searched for: the first pattern with a match counts.
FOLDER_PATTERNS = {
    "csv": ["*.csv", *(f"*.csv{suffix}" for suffix in COMPRESSIONS)],
    "parquet": ["*.parquet"],
    "tfrecord": ["*.tfrecord", "*.tfrecords", "*.tfrecord.gz", "*.tfrecords.gz", "*tfrecord*", "*.gz"],
    "jsonl": [f"*{name}{suffix}" for name in (".jsonl", ".ndjson", ".json") for suffix in ("", *COMPRESSIONS)],
}


def resolve_package(path: str, site_packages: str | None = None) -> str:
    """Turn `package://tfx/some/file` into a path; return any other path as it is.

    Args:
      path: as in the config.
      site_packages: folder that holds the packages where the path will be read; default: this interpreter's.

    Raises:
      ConfigError: the package is not installed.
    """
    if not path.startswith(PACKAGE_SCHEME):
        return path
    package, _, inside = path[len(PACKAGE_SCHEME) :].partition("/")
    if site_packages is not None:
        return f"{site_packages.rstrip('/')}/{package}/{inside}"
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"`data.path` names the package '{package}' ({path}), which is not installed.")
    return os.path.join(spec.submodule_search_locations[0], inside)


def base_and_pattern(path: str, kind: str = "csv") -> tuple[str, str]:
    """Split a path into the folder and the file pattern below it that TFX's ExampleGen takes.

    Args:
      path: a file, a folder, a glob; local, or a URL. With a {SPAN} or the like, the pattern begins with its part of the path.
      kind: of the files, to know them in a folder.
    """
    if "{" in path:
        place = path.index("{")
        base, _, _ = path[:place].rpartition("/")
        pattern = path[len(base) + 1 :] if base or path.startswith("/") else path
        return (base if is_remote(path) else os.path.abspath(base or ("/" if path.startswith("/") else "."))), pattern
    if is_remote(path):
        base, _, name = path.rstrip("/").rpartition("/")
        return (path.rstrip("/"), "*") if path.endswith("/") else (base, name)
    if os.path.isdir(path):
        folder, patterns = os.path.abspath(path), FOLDER_PATTERNS[kind]
        return folder, next((pattern for pattern in patterns if list_files(folder, pattern)), patterns[0])
    absolute = os.path.abspath(path)
    # A file may be called data[1].csv.
    name = os.path.basename(absolute)
    return os.path.dirname(absolute), glob.escape(name) if os.path.isfile(path) else name


def list_files(base: str, pattern: str) -> list[str]:
    """Return the files, sorted; empty when there are none."""
    full = os.path.join(base, pattern)
    if is_remote(full):
        import tensorflow as tf

        return sorted(tf.io.gfile.glob(full))
    return sorted(path for path in glob.glob(full) if os.path.isfile(path))


def open_stream(path: str, abandoned: threading.Event | None = None) -> pa.NativeFile:
    """Open a local or remote file for reading its content: decompressed, if its name ends as that of a compressed file does.

    Args:
      path: of the file.
      abandoned: once set, a remote file ends where it has been read to.
    """
    file = pa.PythonFile(open_file(path, abandoned), "r") if is_remote(path) else pa.OSFile(path)
    return pa.CompressedInputStream(file, COMPRESSIONS[os.path.splitext(path)[1]]) if is_compressed(path) else file


def open_random_access(path: str) -> pa.NativeFile:
    """Open a local or remote file for reading any part of it, as it is stored."""
    return pa.PythonFile(open_file(path), "r") if is_remote(path) else pa.OSFile(path)


def is_compressed(path: str) -> bool:
    """Tell whether a file's name ends as that of a compressed file does."""
    return os.path.splitext(path)[1] in COMPRESSIONS


def open_file(path: str, abandoned: threading.Event | None = None) -> BinaryIO:
    """Open a local or remote file for reading bytes; see open_stream."""
    return io.BufferedReader(_RemoteFile(path, abandoned), 1 << 20) if is_remote(path) else open(path, "rb")


class _RemoteFile(io.RawIOBase):
    """TensorFlow's GFile as a file object of Python: pyarrow asks for more than a GFile has."""

    def __init__(self, path: str, abandoned: threading.Event | None):
        import tensorflow as tf

        self._abandoned = abandoned
        self._file = tf.io.gfile.GFile(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self._abandoned and self._abandoned.is_set():
            return 0
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # A GFile seeks from the beginning only.
        starts = {os.SEEK_SET: lambda: 0, os.SEEK_CUR: self._file.tell, os.SEEK_END: self._file.size}
        self._file.seek(starts[whence]() + offset)
        return self.tell()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
