"""Which push made a version what it is, and which models came before it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_store import SmallStore

from pipeline.lineage.files import RootFiles
from pipeline.lineage.provenance import Provenance, open_store
from pipeline.lineage.pushes import MOST_ANCESTORS, Pushes
from pipeline.lineage.record import Ancestor, ModelName

ONE, TWO = ModelName("saved_model", 1), ModelName("saved_model", 2)


@pytest.fixture
def runs(tmp_path: Path) -> SmallStore:
    return SmallStore(tmp_path)


def pushes_of(root: Path) -> Pushes:
    return Pushes(Provenance(open_store(root / "metadata.db")))


def run_that_made(root: Path, name: ModelName) -> str:
    provenance = Provenance(open_store(root / "metadata.db"))
    return provenance.run_id(Pushes(provenance).first(name, RootFiles(root, str(root))).execution)


def ancestors(root: Path, name: ModelName) -> list[Ancestor]:
    pushes = pushes_of(root)
    return list(pushes.ancestors(pushes.gate(pushes.of(name)[0])))


def test_what_was_refused_is_no_version(tmp_path: Path, runs: SmallStore):
    model = runs.train("run-1", "one")
    runs.push("run-1", model, runs.judge("run-1", model), None)
    assert pushes_of(tmp_path).names == []


def test_same_model_pushed_again_is_still_of_the_first_run(tmp_path: Path, runs: SmallStore):
    model = runs.train("run-1", "one")
    runs.push("run-1", model, runs.judge("run-1", model), 1)
    runs.push("run-2", model, runs.judge("run-2", model, baseline=model), 1)
    assert [push.name for push in pushes_of(tmp_path).of(ONE)] == [ONE, ONE]
    assert run_that_made(tmp_path, ONE) == "run-1"


def test_another_model_of_the_same_bytes_leaves_a_version_to_the_first_run(tmp_path: Path, runs: SmallStore):
    for run_id in ("run-1", "run-2"):
        model = runs.train(run_id, "same bytes")
        runs.push(run_id, model, runs.judge(run_id, model), 1)
    assert run_that_made(tmp_path, ONE) == "run-1"


def test_version_that_was_removed_and_pushed_anew_is_of_the_later_run(tmp_path: Path, runs: SmallStore):
    for run_id in ("run-1", "run-2"):
        model = runs.train(run_id, f"bytes of {run_id}")
        runs.push(run_id, model, runs.judge(run_id, model), 1)
    assert run_that_made(tmp_path, ONE) == "run-2"
    shutil.rmtree(tmp_path / "pushed")
    assert run_that_made(tmp_path, ONE) == "run-2"


def test_model_that_was_compared_with_nothing_has_no_ancestors(tmp_path: Path, runs: SmallStore):
    model = runs.train("run-1", "one")
    runs.push("run-1", model, runs.judge("run-1", model), 1)
    assert ancestors(tmp_path, ONE) == []


def test_ancestors_follow_one_another_also_through_a_blessed_model_that_was_not_pushed(tmp_path: Path, runs: SmallStore):
    first, second, third = (runs.train(f"run-{i}", f"model {i}") for i in (1, 2, 3))
    runs.push("run-1", first, runs.judge("run-1", first), 1)
    runs.push("run-2", second, runs.judge("run-2", second, baseline=first), None)
    runs.push("run-3", third, runs.judge("run-3", third, baseline=second), 2)
    found = ancestors(tmp_path, TWO)
    assert [(one.model, one.artifact, one.run_id) for one in found] == [
        (None, second.id, "run-2"),
        ("pushed/saved_model/1", first.id, "run-1"),
    ]
    assert found[0].pushed is None
    assert found[1].pushed is not None
    assert found[1].trained < found[1].pushed


def test_model_compared_with_itself_is_not_its_own_ancestor(tmp_path: Path, runs: SmallStore):
    model = runs.train("run-1", "one")
    runs.push("run-1", model, runs.judge("run-1", model, baseline=model), 1)
    assert ancestors(tmp_path, ONE) == []


def test_chain_of_ancestors_is_short(tmp_path: Path, runs: SmallStore):
    before = None
    for i in range(1, MOST_ANCESTORS + 4):
        model = runs.train(f"run-{i}", f"model {i}")
        runs.push(f"run-{i}", model, runs.judge(f"run-{i}", model, before), i)
        before = model
    newest = ModelName("saved_model", MOST_ANCESTORS + 3)
    found = [one.model for one in ancestors(tmp_path, newest)]
    assert found == [f"pushed/saved_model/{newest.version - i}" for i in range(1, MOST_ANCESTORS + 1)]
