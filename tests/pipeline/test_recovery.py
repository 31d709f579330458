"""What a killed run left: in ML Metadata, in the folders of stages, and among pushed versions."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.local import store as database
from pipeline.local.recovery import forget_checkpoints, recover


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetadataStore]:
    return database.open_store(tmp_path)


def put_execution(store: MetadataStore, state: int) -> int:
    type_id = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    (execution_id,) = store.put_executions([mlmd.Execution(type_id=type_id, last_known_state=state)])
    return execution_id


def put_output(root: Path, stage: str, key: str, execution_id: int) -> Path:
    folder = root / "artifacts" / stage / key / str(execution_id)
    folder.mkdir(parents=True)
    (folder / "content").write_text("x")
    return folder


def state_of(store: MetadataStore, execution_id: int) -> int:
    return store.get_executions_by_id([execution_id])[0].last_known_state


def test_executions_that_never_ended_are_failed_and_said_to_be_interrupted(store: MetadataStore, tmp_path: Path) -> None:
    states = [mlmd.Execution.RUNNING, mlmd.Execution.COMPLETE, mlmd.Execution.CACHED, mlmd.Execution.NEW, mlmd.Execution.FAILED]
    running, complete, cached, new, failed = (put_execution(store, state) for state in states)
    assert recover(store, tmp_path) == [running, new]
    assert state_of(store, running) == state_of(store, new) == state_of(store, failed) == mlmd.Execution.FAILED
    assert state_of(store, complete) == mlmd.Execution.COMPLETE
    assert state_of(store, cached) == mlmd.Execution.CACHED
    interrupted = {e.id for e in store.get_executions() if "interrupted" in e.custom_properties}
    assert interrupted == {running, new}
    assert recover(store, tmp_path) == []


def test_only_outputs_of_executions_that_succeeded_stay(store: MetadataStore, tmp_path: Path) -> None:
    done = put_output(tmp_path, "Trainer", "model", put_execution(store, mlmd.Execution.COMPLETE))
    partial = put_output(tmp_path, "Trainer", "model", put_execution(store, mlmd.Execution.RUNNING))
    failed = put_output(tmp_path, "Trainer", "model_run", put_execution(store, mlmd.Execution.FAILED))
    unknown = put_output(tmp_path, "Transform", "graph", 99)
    recover(store, tmp_path)
    assert [folder.exists() for folder in (done, partial, failed, unknown)] == [True, False, False, False]


def test_working_folders_go_and_checkpoints_stay(store: MetadataStore, tmp_path: Path) -> None:
    system = tmp_path / "artifacts" / "Trainer" / ".system"
    names = ("executor_execution", "driver_execution", "stateful_working_dir", "checkpoints", "sources")
    for name in names:
        (system / name / "7").mkdir(parents=True)
    recover(store, tmp_path)
    assert sorted(path.name for path in system.iterdir()) == ["checkpoints", "sources"]


def test_half_pushed_versions_go_and_whole_ones_stay(store: MetadataStore, tmp_path: Path) -> None:
    for name in ("1", ".incoming-0a"):
        (tmp_path / "pushed" / "edge" / name).mkdir(parents=True)
    recover(store, tmp_path)
    assert [path.name for path in (tmp_path / "pushed" / "edge").iterdir()] == ["1"]


def test_stages_that_begin_anew_forget_where_they_were(tmp_path: Path) -> None:
    folders = [tmp_path / "artifacts" / stage / ".system" / "checkpoints" / "k" for stage in ("Trainer", "Tuner")]
    for folder in folders:
        folder.mkdir(parents=True)
    forget_checkpoints(tmp_path / "artifacts", {"Trainer", "Evaluator"})
    assert [folder.exists() for folder in folders] == [False, True]


def test_sound_database_is_left_alone(store: MetadataStore, tmp_path: Path) -> None:
    put_execution(store, mlmd.Execution.COMPLETE)
    assert database.restore_if_damaged(tmp_path, "now") is None
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.db"]


def test_first_run_finds_nothing_damaged(tmp_path: Path) -> None:
    assert database.restore_if_damaged(tmp_path, "now") is None


@pytest.mark.parametrize("damage", ["truncated", "emptied", "overwritten", "deleted"])
def test_damaged_database_is_replaced_by_the_copy(tmp_path: Path, damage: str) -> None:
    execution_id = put_execution(database.open_store(tmp_path), mlmd.Execution.COMPLETE)
    database.back_up(tmp_path)
    folder = put_output(tmp_path, "Trainer", "model", execution_id)
    do_damage(tmp_path / "metadata.db", damage)
    said = database.restore_if_damaged(tmp_path, "now")
    assert said
    assert said.startswith("metadata.db was damaged or missing: the copy of the last finished run takes its place;")
    assert state_of(database.open_store(tmp_path), execution_id) == mlmd.Execution.COMPLETE
    assert folder.exists()
    assert (tmp_path / "metadata.db.damaged-now").exists() == (damage != "deleted")


@pytest.mark.parametrize("damage", ["truncated", "deleted"])
def test_without_a_copy_everything_is_set_aside(tmp_path: Path, damage: str) -> None:
    put_output(tmp_path, "Trainer", "model", put_execution(database.open_store(tmp_path), mlmd.Execution.COMPLETE))
    do_damage(tmp_path / "metadata.db", damage)
    said = database.restore_if_damaged(tmp_path, "now")
    assert said
    assert "there is no copy of it, so everything runs anew." in said
    assert not (tmp_path / "artifacts").exists()
    assert (tmp_path / "artifacts.damaged-now" / "Trainer").is_dir()
    assert not (tmp_path / "metadata.db").exists()


def test_locked_database_is_not_taken_for_a_damaged_one(
    store: MetadataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_execution(store, mlmd.Execution.COMPLETE)
    database.back_up(tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr("sqlite3.connect", lambda path: connect(path, timeout=0.1))
    with contextlib.closing(connect(tmp_path / "metadata.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(database.DatabaseLockedError, match=r"metadata.db is locked by another program. Let it finish"):
            database.restore_if_damaged(tmp_path, "now")
    assert database.restore_if_damaged(tmp_path, "now") is None


def do_damage(file: Path, damage: str) -> None:
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        file.write_bytes({"truncated": content[:5000], "emptied": b"", "overwritten": b"\xff" * len(content)}[damage])
