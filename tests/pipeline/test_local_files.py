"""Local files without TensorFlow tell what TensorFlow's tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from tfx.dsl.io import fileio, filesystem_registry
from tfx.dsl.io.plugins.tensorflow_gfile import TensorflowFilesystem
from tfx.utils import io_utils

from pipeline import local_files
from pipeline.local_files import LocalFiles


def test_statistics_are_tensorflows(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n")
    for path in (file, tmp_path):
        mine, theirs = LocalFiles.stat(str(path)), tf.io.gfile.stat(str(path))
        assert (mine.length, mine.is_directory) == (theirs.length, theirs.is_directory)
        assert mine.mtime_nsec == pytest.approx(theirs.mtime_nsec, abs=1e9)  # which has whole seconds


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(fileio.NotFoundError):
        LocalFiles.stat(str(tmp_path / "nothing"))


def test_local_paths_are_pythons_and_others_tensorflows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = filesystem_registry.FilesystemRegistry()
    registry.register(TensorflowFilesystem, priority=10, use_as_fallback=True)
    monkeypatch.setattr(filesystem_registry, "DEFAULT_FILESYSTEM_REGISTRY", registry)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    before = io_utils.generate_fingerprint("all", str(tmp_path / "*"))
    local_files.install()
    assert registry.get_filesystem_for_path(str(tmp_path)) is LocalFiles
    assert registry.get_filesystem_for_path("gs://bucket/file") is TensorflowFilesystem
    assert io_utils.generate_fingerprint("all", str(tmp_path / "*")) == before


def test_binary_files_take_text_and_bytes_as_tensorflows_do(tmp_path: Path) -> None:
    for opened in (LocalFiles.open, tf.io.gfile.GFile):
        file = tmp_path / opened.__name__
        with opened(str(file), "wb") as stream:
            stream.write("text, ")
            stream.write(b"bytes")
        assert file.read_bytes() == b"text, bytes"
    with pytest.raises(fileio.NotFoundError):
        LocalFiles.open(str(tmp_path / "nowhere" / "file"), "wb")
