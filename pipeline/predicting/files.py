"""Output files that are there as a whole or not at all, on this machine and elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import uuid
from collections.abc import Iterator

import pyarrow as pa

from pipeline.ingest.source import COMPRESSIONS
from pipeline.remote import is_remote


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[pa.NativeFile]:
    """Open a file for writing that has its name only once all is written; compressed, if its name ends so.

    After an error, or an interruption, what was there before is still there.
    """
    folder, name = os.path.split(path)
    scratch = os.path.join(folder, f".{name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(_open(scratch))
            if compression := COMPRESSIONS.get(os.path.splitext(name)[1]):
                sink = stack.enter_context(pa.CompressedOutputStream(sink, compression))
            yield sink
        _replace(scratch, path)
    except BaseException:
        remove(scratch)
        raise


def remove(path: str) -> None:
    """Remove a file if it is there."""
    if is_remote(path):
        import tensorflow as tf

        with contextlib.suppress(tf.errors.NotFoundError):
            tf.io.gfile.remove(path)
        return
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


@contextlib.contextmanager
def _open(path: str) -> Iterator[pa.NativeFile]:
    if not is_remote(path):
        with pa.OSFile(path, "w") as file:
            yield file
        return
    with _RemoteFile(path) as remote, pa.PythonFile(remote, "w") as file:
        yield file


class _RemoteFile(io.RawIOBase):
    """TensorFlow's GFile as a file object of Python, which pyarrow asks for more than a GFile has."""

    def __init__(self, path: str):
        import tensorflow as tf

        self._file = tf.io.gfile.GFile(path, "wb")

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        self._file.write(bytes(content))
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _replace(scratch: str, path: str) -> None:
    if is_remote(path):
        import tensorflow as tf

        tf.io.gfile.rename(scratch, path, overwrite=True)
    else:
        os.replace(scratch, path)
