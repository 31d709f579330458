"""Versions in a folder: complete or not there."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.dsl.io import fileio

from pipeline.publishing import publish


def model(folder: Path, content: str = "weights") -> str:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "data").write_text(content)
    return str(folder)


def versions(destination: Path) -> list[str]:
    return sorted(path.name for path in destination.iterdir())


def test_versions_count_from_one(tmp_path: Path) -> None:
    destination = tmp_path / "pushed"
    assert publish(model(tmp_path / "a", "a"), str(destination)) == str(destination / "1")
    assert publish(model(tmp_path / "b", "b"), str(destination)) == str(destination / "2")
    assert versions(destination) == ["1", "2"]
    assert (destination / "2" / "variables" / "data").read_text() == "b"


def test_what_the_newest_version_holds_adds_no_version(tmp_path: Path) -> None:
    destination = tmp_path / "pushed"
    publish(model(tmp_path / "a"), str(destination))
    assert publish(model(tmp_path / "same"), str(destination)) == str(destination / "1")
    assert versions(destination) == ["1"]


def test_an_older_content_comes_back_as_a_new_version(tmp_path: Path) -> None:
    destination = tmp_path / "pushed"
    for name, content in (("a", "a"), ("b", "b"), ("c", "a")):
        last = publish(model(tmp_path / name, content), str(destination))
    assert last == str(destination / "3")


def test_versions_are_numbers_not_names(tmp_path: Path) -> None:
    destination = tmp_path / "pushed"
    for name in ("9", "10", "notes"):
        (destination / name).mkdir(parents=True)
    assert publish(model(tmp_path / "a"), str(destination)) == str(destination / "11")


def test_pushes_at_the_same_moment_do_not_collide(tmp_path: Path) -> None:
    destination = tmp_path / "pushed"
    sources = [model(tmp_path / f"source{i}", str(i)) for i in range(8)]
    threads = [threading.Thread(target=publish, args=(source, str(destination))) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions(destination) == [str(n) for n in range(1, 9)]
    contents = {(destination / v / "variables" / "data").read_text() for v in versions(destination)}
    assert contents == {str(i) for i in range(8)}


def test_copy_that_fails_half_way_leaves_no_version_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = tmp_path / "pushed"
    publish(model(tmp_path / "a", "a"), str(destination))
    real_copy, copied = shutil.copy2, []

    def copy_one(source, target, **options):
        if copied:
            raise OSError(28, "No space left on device")
        copied.append(source)
        return real_copy(source, target, **options)

    monkeypatch.setattr(shutil, "copy2", copy_one)
    monkeypatch.setattr(shutil.copytree, "__defaults__", (False, None, copy_one, False, False))
    with pytest.raises(shutil.Error, match="No space left on device"):
        publish(model(tmp_path / "b", "b"), str(destination))
    assert len(copied) == 1
    assert versions(destination) == ["1"]


@pytest.mark.parametrize("change", ["renamed", "moved", "added"])
def test_file_of_another_name_is_other_content(tmp_path: Path, change: str) -> None:
    source = Path(model(tmp_path / "a"))
    publish(str(source), str(tmp_path / "pushed"))
    if change == "added":
        (source / "empty").touch()
    else:
        (source / "variables" / "data").rename(source / ("variables/other" if change == "renamed" else "data"))
    assert publish(str(source), str(tmp_path / "pushed")) == str(tmp_path / "pushed" / "2")


def test_file_that_cannot_be_copied_leaves_an_empty_folder(tmp_path: Path) -> None:
    source = Path(model(tmp_path / "a"))
    (source / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(shutil.Error, match="broken"):
        publish(str(source), str(tmp_path / "pushed"))
    assert versions(tmp_path / "pushed") == []


def test_version_is_whole_when_it_becomes_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, seen = Path.rename, []

    def watched(self: Path, target: Path) -> Path:
        files = sorted(str(path.relative_to(self)) for path in self.rglob("*") if path.is_file())
        seen.append((files, [name for name in versions(target.parent) if not name.startswith(".")]))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    publish(model(tmp_path / "a"), str(tmp_path / "pushed"))
    assert seen == [(["saved_model.pb", "variables/data"], [])]
    assert versions(tmp_path / "pushed") == ["1"]


@pytest.fixture
def remote() -> Iterator[str]:
    """A folder on TensorFlow's in-memory file system: reached as gs:// is."""
    folder = f"ram://{uuid.uuid4().hex}"
    yield folder
    tf.io.gfile.rmtree(folder)


def test_versions_count_on_remote_storage_too(tmp_path: Path, remote: str) -> None:
    assert publish(model(tmp_path / "a"), remote) == f"{remote}/1"
    assert publish(model(tmp_path / "same"), f"{remote}/") == f"{remote}/1"
    assert publish(model(tmp_path / "b", "b"), f"{remote}/") == f"{remote}/2"
    with tf.io.gfile.GFile(f"{remote}/2/variables/data") as file:
        assert file.read() == "b"


def test_remote_version_gets_the_file_that_servers_look_for_last(tmp_path: Path, remote: str) -> None:
    source = Path(model(tmp_path / "a"))
    (source / "zzz").symlink_to(tmp_path / "nowhere")  # after saved_model.pb by name; cannot be copied
    with pytest.raises(fileio.NotFoundError) as raised:
        publish(str(source), remote)
    assert "zzz" in str(raised.value.__cause__)
    assert tf.io.gfile.exists(f"{remote}/1/variables/data")
    assert not tf.io.gfile.exists(f"{remote}/1/saved_model.pb")
