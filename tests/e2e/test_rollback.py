"""The version before comes back, and the model that it replaces does not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from faulty_runs import assert_every_version_is_whole, unfinished_executions, versions
from pipeline_runs import run_here
from two_versions import put_back, run_command, run_with_seed

from pipeline.local.rolling_back import Restored, roll_back
from pipeline.local.store import open_store
from pipeline.publishing import publish
from pipeline.versions import content_digest, model_digest
from pipeline.withdrawn import read_withdrawn

pytestmark = pytest.mark.e2e


@pytest.fixture
def root(two_versions: Path) -> Path:
    return put_back(two_versions)


def digest(root: Path, kind: str, version: int) -> str:
    return content_digest(str(root / "pushed" / kind / str(version)))


def test_version_before_comes_back_as_a_new_one(repository: Path, root: Path) -> None:
    done = run_command(repository, "rollback", "--root", root, "--reason", "slow on old phones")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        f"saved_model: version 1 is back as {root}/pushed/saved_model/3; 2 is withdrawn.",
        f"edge: version 1 is back as {root}/pushed/edge/3; 2 is withdrawn.",
    ]
    for kind in ("saved_model", "edge"):
        assert versions(root, kind) == ["1", "2", "3"]
        assert digest(root, kind, 3) == digest(root, kind, 1) != digest(root, kind, 2)
    assert_every_version_is_whole(root)
    (withdrawn,) = read_withdrawn(root / "pushed")
    assert (withdrawn.digest, withdrawn.version) == (model_digest(f"{root}/pushed/saved_model/2"), 2)
    assert withdrawn.reason == "slow on old phones"


def test_lineage_of_a_version_that_came_back_is_that_of_the_one_it_was(repository: Path, root: Path) -> None:
    roll_back(root)
    for asked in ((), ("--model", "pushed/saved_model/3")):
        told = run_command(repository, "lineage", "--root", root, *asked)
        assert told.returncode == 0, told.stderr
        assert told.stdout.startswith("pushed/saved_model/1 of pipeline small")


def test_withdrawn_model_is_not_pushed_again_and_the_run_says_why(root: Path) -> None:
    roll_back(root, reason="slow on old phones")
    again = run_with_seed(root, 2)
    assert again.code == 3, again.output
    assert again.states["Trainer"] == again.states["Compressor"] == "reused"
    assert again.summary["pushed"] == {"saved_model": None, "edge": None}
    (failed,) = [gate for gate in again.summary["gates"] if not gate["passed"]]
    assert failed["name"] == "rollback"
    assert failed["bound"].startswith("not withdrawn (it was, at ")
    assert failed["bound"].endswith("Z: slow on old phones)")
    assert versions(root, "saved_model") == versions(root, "edge") == ["1", "2", "3"]
    assert unfinished_executions(root) == []


def test_next_model_is_compared_with_the_one_that_came_back(root: Path) -> None:
    first = json.loads((root / "runs" / sorted(os.listdir(root / "runs"))[0] / "summary.json").read_text())
    roll_back(root)
    third = run_with_seed(root, 3)
    assert third.code == 0, third.output
    assert third.summary["metrics"]["baseline"] == first["metrics"]["candidate"]
    assert third.summary["pushed"] == {"saved_model": "pushed/saved_model/4", "edge": "pushed/edge/4"}


def test_rollbacks_go_further_back_until_there_is_nothing_left(repository: Path, root: Path) -> None:
    run_with_seed(root, 3)
    assert roll_back(root) == [Restored("saved_model", 3, 2, 4), Restored("edge", 3, 2, 4)]
    assert roll_back(root) == [Restored("saved_model", 4, 1, 5), Restored("edge", 4, 1, 5)]
    nothing = run_command(repository, "rollback", "--root", root)
    assert nothing.returncode == 2
    assert nothing.stderr == "There is no earlier version than 5 to go back to.\n"
    assert len(read_withdrawn(root / "pushed")) == 2


def test_one_may_go_back_further_at_once(repository: Path, root: Path) -> None:
    run_with_seed(root, 3)
    assert roll_back(root, version=1) == [Restored("saved_model", 3, 1, 4), Restored("edge", 3, 1, 4)]
    assert [each.version for each in read_withdrawn(root / "pushed")] == [2, 3]
    unknown = run_command(repository, "rollback", "--root", root, "--to", 9)
    assert (unknown.returncode, unknown.stderr) == (2, "--to 9: there is no such version. There are: 1, 2, 3, 4.\n")


@pytest.mark.parametrize(
    ("published", "left"),
    [(0, [Restored("saved_model", 2, 1, 3), Restored("edge", 2, 1, 3)]), (1, [Restored("edge", 2, 1, 3)]), (2, [])],
)
def test_interrupted_rollback_is_finished_by_the_next_and_takes_back_no_second_model(
    root: Path, monkeypatch: pytest.MonkeyPatch, published: int, left: list[Restored]
) -> None:
    calls: list[str] = []

    def interrupted(*arguments: str) -> str:
        if len(calls) == published:
            raise KeyboardInterrupt
        calls.append(arguments[0])
        return publish(*arguments)

    def unrecorded(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.local.rolling_back.publish", interrupted)
        patched.setattr("pipeline.local.rolling_back._record", unrecorded)
        with pytest.raises(KeyboardInterrupt):
            roll_back(root)
    assert roll_back(root) == left
    assert versions(root, "saved_model") == versions(root, "edge") == ["1", "2", "3"]
    assert digest(root, "saved_model", 3) == digest(root, "saved_model", 1)
    (withdrawn,) = read_withdrawn(root / "pushed")
    assert not withdrawn.pending
    assert run_with_seed(root, 2).code == 3


def test_damaged_version_does_not_come_back(root: Path) -> None:
    run_with_seed(root, 3)
    (root / "pushed" / "saved_model" / "2" / "saved_model.pb").write_bytes(b"half")
    assert roll_back(root)[0] == Restored("saved_model", 3, 1, 4)


def test_model_that_was_replaced_is_pushed_again_when_its_config_comes_back(root: Path) -> None:
    for seed, version in ((1, 3), (2, 4), (1, 5)):
        done = run_with_seed(root, seed)
        assert done.code == 0, done.output
        assert done.summary["pushed"]["saved_model"] == f"pushed/saved_model/{version}"
    assert done.states["Trainer"] == "reused"
    assert digest(root, "saved_model", 5) == digest(root, "saved_model", 1)


def test_trained_again_with_the_same_result_a_withdrawn_model_is_still_withdrawn(root: Path) -> None:
    roll_back(root)
    again = run_here(root.parent / "config.yaml", root, "fit.seed=2", first="Trainer")
    assert again.code == 3, again.output
    assert again.states["Trainer"] == "ran"
    assert versions(root, "saved_model") == ["1", "2", "3"]


def test_edge_model_of_another_model_stays(root: Path) -> None:
    """The third model has no edge model: what devices run was made from the second, which is not withdrawn."""
    third = run_with_seed(root, 3, "compression.gates.max_size_bytes=10")
    assert third.summary["pushed"] == {"saved_model": "pushed/saved_model/3", "edge": None}
    assert roll_back(root) == [Restored("saved_model", 3, 2, 4)]
    assert versions(root, "edge") == ["1", "2"]


def test_rollback_is_recorded_in_ml_metadata(root: Path) -> None:

    roll_back(root, reason="why not")
    (execution,) = open_store(root).get_executions_by_type("Rollback")
    told = {name: value.int_value or value.string_value for name, value in execution.custom_properties.items()}
    assert told == {
        "reason": "why not",
        "saved_model_withdrawn": 2,
        "saved_model_source": 1,
        "saved_model_version": 3,
        "edge_withdrawn": 2,
        "edge_source": 1,
        "edge_version": 3,
    }
