"""Whether an artifact's files still are what they were."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.artifacts import CONTENT_DIGEST_PROPERTY
from pipeline.local.contents import FILES_PROPERTY, delete_damaged, is_intact, record, sizes_in
from pipeline.local.store import open_store


@pytest.fixture
def artifact(tmp_path: Path) -> mlmd.Artifact:
    made = mlmd.Artifact(uri=str(tmp_path / "model" / "7"), state=mlmd.Artifact.LIVE)
    (tmp_path / "model" / "7" / "variables").mkdir(parents=True)
    (tmp_path / "model" / "7" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "model" / "7" / "variables" / "data").write_bytes(b"weights")
    record(made)
    return made


def truncate(folder: Path) -> None:
    (folder / "variables" / "data").write_bytes(b"weig")


def flip_a_bit_and_hide_it(folder: Path) -> None:
    file = folder / "variables" / "data"
    before = file.stat()
    file.write_bytes(b"wEights")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_a_file(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()


def add_a_file(folder: Path) -> None:
    (folder / "assets").write_text("")


def touch(folder: Path) -> None:
    os.utime(folder / "saved_model.pb", (0, 0))


def replace_by_a_copy(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def test_untouched_files_are_intact(artifact: mlmd.Artifact) -> None:
    assert is_intact(artifact)
    assert sorted(sizes_in(artifact.custom_properties[FILES_PROPERTY].string_value)) == [5, 7]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit_and_hide_it, remove_a_file, add_a_file, shutil.rmtree])
def test_damage_is_noticed(artifact: mlmd.Artifact, damage: Callable[[Path], None]) -> None:
    damage(Path(artifact.uri))
    assert not is_intact(artifact)


@pytest.mark.parametrize("change", [touch, replace_by_a_copy])
def test_same_content_is_intact_whatever_its_times(artifact: mlmd.Artifact, change: Callable[[Path], None]) -> None:
    change(Path(artifact.uri))
    assert is_intact(artifact)


def test_digest_is_of_names_and_content(artifact: mlmd.Artifact) -> None:
    digest = artifact.custom_properties[CONTENT_DIGEST_PROPERTY].string_value
    assert digest.startswith("sha256:")
    folder = Path(artifact.uri)
    touch(folder)
    record(artifact)
    assert artifact.custom_properties[CONTENT_DIGEST_PROPERTY].string_value == digest
    (folder / "saved_model.pb").rename(folder / "other.pb")
    record(artifact)
    assert artifact.custom_properties[CONTENT_DIGEST_PROPERTY].string_value != digest


def test_push_is_judged_by_what_was_pushed(tmp_path: Path) -> None:
    pushed = mlmd.Artifact(uri=str(tmp_path / "gone"), state=mlmd.Artifact.LIVE)
    pushed.custom_properties["pushed_destination"].string_value = str(tmp_path / "pushed" / "1")
    (tmp_path / "pushed" / "1").mkdir(parents=True)
    (tmp_path / "pushed" / "1" / "model.tflite").write_bytes(b"TFL3")
    record(pushed)
    assert is_intact(pushed)
    (tmp_path / "pushed" / "1" / "model.tflite").unlink()
    assert not is_intact(pushed)


def test_what_lies_elsewhere_is_not_judged() -> None:
    remote = mlmd.Artifact(uri="gs://bucket/model", state=mlmd.Artifact.LIVE)
    record(remote)
    assert is_intact(remote)


@pytest.fixture
def store(tmp_path: Path) -> MetadataStore:
    return open_store(tmp_path)


def test_damaged_artifacts_are_deleted_in_ml_metadata_and_others_are_not(
    store: MetadataStore, artifact: mlmd.Artifact, tmp_path: Path
) -> None:
    artifact.type_id = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    intact = mlmd.Artifact(type_id=artifact.type_id, uri=str(tmp_path / "intact"), state=mlmd.Artifact.LIVE)
    (tmp_path / "intact").mkdir()
    damaged_id, intact_id = store.put_artifacts([artifact, intact])
    assert delete_damaged(store, tmp_path) == []
    shutil.rmtree(artifact.uri)
    assert [a.id for a in delete_damaged(store, tmp_path)] == [damaged_id]
    states = {a.id: a.state for a in store.get_artifacts()}
    assert states == {damaged_id: mlmd.Artifact.DELETED, intact_id: mlmd.Artifact.LIVE}
    assert delete_damaged(store, tmp_path) == []


def test_what_lies_in_the_root_that_this_one_was_copied_from_is_not_reused(
    store: MetadataStore, artifact: mlmd.Artifact, tmp_path: Path
) -> None:
    artifact.type_id = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    store.put_artifacts([artifact])
    assert is_intact(artifact)
    assert len(delete_damaged(store, tmp_path / "copy")) == 1
