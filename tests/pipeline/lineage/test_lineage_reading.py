"""Who answers, and what is said when nobody can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ml_metadata.errors import InternalError
from ml_metadata.proto import metadata_store_pb2
from sample_lineage import SECOND, sample, server_sample
from small_store import SmallStore

from pipeline.lineage.errors import LineageError, StoreError
from pipeline.lineage.provenance import Provenance, open_store
from pipeline.lineage.reading import read_lineage
from pipeline.lineage.record import Lineage, ModelName
from pipeline.lineage.written_source import write


def leave(root: Path, *lineages: Lineage, run_id: str = SECOND) -> Path:
    """Write what a run leaves; return its file."""
    folder = root / "runs" / run_id
    folder.mkdir(parents=True)
    write(root, run_id, list(lineages))
    return folder / "lineage.json"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pushed/edge/3", ModelName("edge", 3)),
        ("/some/root/pushed/saved_model/12/", ModelName("saved_model", 12)),
        ("saved_model/1", ModelName("saved_model", 1)),
        ("pushed/edge/newest", None),
        ("3", None),
        ("my_saved_model/3", None),
    ],
)
def test_model_is_named_by_the_end_of_its_path(text: str, name: ModelName | None):
    assert ModelName.parse(text) == name


def test_root_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(LineageError) as caught:
        read_lineage(tmp_path / "nowhere")
    expected = f"{tmp_path}/nowhere does not exist. Expected the root folder of a pipeline that has run."
    assert str(caught.value) == expected


def test_missing_store_is_named_and_none_is_made(tmp_path: Path):
    with pytest.raises(StoreError) as caught:
        read_lineage(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/metadata.db does not exist. No run left a lineage.json either: "
        f"nothing is known of the models of {tmp_path}."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty."), (b"no database " * 99, "cannot be read: file is not a database.")],
)
def test_store_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, content: bytes, reason: str):
    (tmp_path / "metadata.db").write_bytes(content)
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "metadata.db")
    assert str(caught.value) == f"{tmp_path}/metadata.db {reason}"
    assert (tmp_path / "metadata.db").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.db"]


def test_store_is_read_without_changing_it_and_cannot_be_written(tmp_path: Path):
    SmallStore(tmp_path).train("run-1", "one")
    before = (tmp_path / "metadata.db").read_bytes()
    store = open_store(tmp_path / "metadata.db")
    assert [artifact.type for artifact in Provenance(store).of_type("Model")] == ["Model"]
    assert (tmp_path / "metadata.db").read_bytes() == before
    with pytest.raises(InternalError, match="readonly"):
        store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Another"))


# In a process of its own: SQLite's locks are a process's.
HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN " + sys.argv[2])
print("held", flush=True)
time.sleep(float(sys.argv[3]))
connection.execute("ROLLBACK")
"""


@pytest.mark.parametrize(("lock", "seconds"), [("IMMEDIATE", 60), ("EXCLUSIVE", 0.5)])
def test_store_is_read_while_a_run_writes_to_it(tmp_path: Path, lock: str, seconds: float):
    SmallStore(tmp_path).train("run-1", "one")
    path = tmp_path / "metadata.db"
    command = [sys.executable, "-c", HOLD, str(path), lock, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        assert len(Provenance(open_store(path)).of_type("Model")) == 1
        writer.kill()


def test_root_that_pushed_nothing_yet_says_so(tmp_path: Path):
    SmallStore(tmp_path).train("run-1", "one")
    with pytest.raises(LineageError) as caught:
        read_lineage(tmp_path)
    assert str(caught.value) == f"Nothing was pushed from {tmp_path} yet. A run pushes when every gate is passed."


@pytest.mark.parametrize("asked", ["pushed/edge/9", "newest"])
def test_unknown_model_is_told_what_there_is(tmp_path: Path, asked: str):
    leave(tmp_path, sample(), server_sample(2))
    with pytest.raises(LineageError) as caught:
        read_lineage(tmp_path, asked)
    assert str(caught.value) == f"Unknown model '{asked}'. Expected one of: pushed/edge/3, pushed/saved_model/2."


def test_root_with_edge_models_only_asks_which(tmp_path: Path):
    leave(tmp_path, sample())
    with pytest.raises(LineageError) as caught:
        read_lineage(tmp_path)
    assert str(caught.value).endswith("yet. Name another model with --model: pushed/edge/3.")


def test_without_a_store_what_a_run_wrote_answers_and_says_so(tmp_path: Path):
    leave(tmp_path, sample(), server_sample(2))
    answer = read_lineage(tmp_path, "pushed/edge/3")
    read_from = f"runs/{SECOND}/lineage.json"
    assert answer.lineage == sample().model_copy(update={"read_from": read_from})
    assert answer.note == f"{tmp_path}/metadata.db does not exist. This is what was written to {read_from}."


def test_damaged_store_gives_way_to_what_a_run_wrote(tmp_path: Path):
    leave(tmp_path, sample())
    (tmp_path / "metadata.db").write_bytes(b"no database " * 99)
    answer = read_lineage(tmp_path, "pushed/edge/3")
    assert answer.lineage.pushed == sample().pushed
    assert answer.note is not None
    assert "cannot be read: file is not a database. This is what was written to" in answer.note


def test_store_that_does_not_know_a_version_gives_way_too(tmp_path: Path):
    SmallStore(tmp_path).train("run-1", "one")
    leave(tmp_path, sample())
    answer = read_lineage(tmp_path, "pushed/edge/3")
    assert answer.note is not None
    assert answer.note.startswith(f"{tmp_path}/metadata.db does not know pushed/edge/3.")


def test_newest_run_has_the_last_word_and_half_a_file_is_passed_over(tmp_path: Path):
    leave(tmp_path, server_sample(1, pipeline="older"), run_id="2026-01-01T10-00-00Z-aaaa")
    leave(tmp_path, server_sample(1, pipeline="newer"), run_id="2026-01-02T10-00-00Z-bbbb")
    half = leave(tmp_path, server_sample(1, pipeline="half"), run_id="2026-01-03T10-00-00Z-cccc")
    half.write_text(half.read_text()[:500])
    later = leave(tmp_path, server_sample(1, pipeline="later version"), run_id="2026-01-04T10-00-00Z-dddd")
    later.write_text(later.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    assert read_lineage(tmp_path).lineage.pipeline == "newer"


def test_newest_server_model_that_is_still_there_is_the_default(tmp_path: Path):
    leave(tmp_path, sample(), server_sample(1), server_sample(2))
    assert read_lineage(tmp_path).lineage.name == ModelName("saved_model", 2)
    (tmp_path / "pushed" / "saved_model" / "1").mkdir(parents=True)
    assert read_lineage(tmp_path).lineage.name == ModelName("saved_model", 1)


def test_written_file_is_the_documented_json(tmp_path: Path):
    content = json.loads(leave(tmp_path, sample()).read_text())
    assert content["schema_version"] == 1
    (model,) = content["models"]
    keys = (
        "schema_version read_from pipeline pushed run data schema transform training evaluation edge parents stages artifacts"
    )
    assert list(model) == [*keys.split(), "missing"]
    assert model["schema"]["columns"] == {"fare": "FLOAT", "company": "BYTES"}
