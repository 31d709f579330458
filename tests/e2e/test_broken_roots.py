"""Something has harmed a finished root: the next run notices, makes anew what it must, and reuses the rest."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_runs import assert_every_version_is_whole, outcome, unfinished_executions, versions
from pipeline_runs import Finished, run_here
from small_pipeline import write_config

pytestmark = pytest.mark.e2e

NOT_REUSED = "Removed or changed since its stage made it, so not reused: "
BEFORE_TRANSFORM = {"ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate"}
# These see a blessed model, the first time after there is one.
JUDGING = {"LatestBlessedModel", "Evaluator", "ModelGate", "Pusher"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("broken_roots"))


@pytest.fixture(scope="module")
def undisturbed(config: Path) -> Finished:
    """A run, kept beside the root that every test gets anew: artifacts know their absolute paths."""
    finished = run_here(config, config.parent / "root")
    assert finished.code == 0, finished.output
    shutil.copytree(finished.root, config.parent / "kept", symlinks=True)
    return finished


@pytest.fixture(name="root")
def finished_root(undisturbed: Finished) -> Path:
    """The root as the undisturbed run left it."""
    shutil.rmtree(undisturbed.root)
    shutil.copytree(undisturbed.root.parent / "kept", undisturbed.root, symlinks=True)
    return undisturbed.root


def test_copied_root_is_reused(config: Path, root: Path, undisturbed: Finished) -> None:
    again = run_here(config, root)
    assert ran(again) == JUDGING
    assert NOT_REUSED not in again.output
    assert_as_good_as(again, undisturbed)


@pytest.mark.parametrize("time_is_set_back", [False, True])
def test_changed_bytes_of_examples_are_noticed(config: Path, root: Path, undisturbed: Finished, time_is_set_back: bool) -> None:
    folder = undisturbed.folder("ExampleGen", "examples")
    shard = next((folder / "Split-train").iterdir())
    before = shard.stat()
    content = bytearray(shard.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    shard.write_bytes(content)
    if time_is_set_back:
        os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = run_here(config, root)
    assert not_reused(again) == [str(folder.relative_to(root))]
    assert again.states["ExampleGen"] == "ran"
    assert_as_good_as(again, undisturbed)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("stage", "key", "file", "harm"),
    [
        ("Transform", "transform_graph", "transform_fn/saved_model.pb", Path.unlink),
        ("Trainer", "model", "Format-Serving/saved_model.pb", truncate),
    ],
    ids=["graph deleted", "model truncated"],
)
def test_broken_file_of_an_artifact_is_made_anew(
    config: Path, root: Path, undisturbed: Finished, stage: str, key: str, file: str, harm: Callable[[Path], None]
) -> None:
    folder = undisturbed.folder(stage, key)
    harm(folder / file)
    again = run_here(config, root)
    assert not_reused(again) == [str(folder.relative_to(root))]
    assert again.states[stage] == "ran"
    assert {again.states[before] for before in BEFORE_TRANSFORM} == {"reused"}
    assert_as_good_as(again, undisturbed)
    assert_every_version_is_whole(root)


@pytest.mark.parametrize("harm", [Path.unlink, truncate], ids=["deleted", "truncated"])
def test_broken_pushed_version_is_pushed_again_as_a_new_one(
    config: Path, root: Path, undisturbed: Finished, harm: Callable[[Path], None]
) -> None:
    pushed = root / "pushed" / "saved_model"
    harm(pushed / "1" / "variables" / "variables.data-00000-of-00001")
    again = run_here(config, root)
    assert len(not_reused(again)) == 1
    assert ran(again) == JUDGING
    assert_as_good_as(again, undisturbed)
    assert again.summary["pushed"]["saved_model"] == "pushed/saved_model/2"
    shutil.rmtree(pushed / "1")  # which is still as it was harmed
    assert versions(root, "saved_model") == ["2"]
    assert_every_version_is_whole(root)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4096 * 8)


@pytest.mark.parametrize("harm", [truncate, empty, Path.unlink, overwrite_the_middle])
def test_broken_metadata_is_put_back_and_what_it_knew_is_reused(
    config: Path, root: Path, undisturbed: Finished, harm: Callable[[Path], None]
) -> None:
    harm(root / "metadata.db")
    again = run_here(config, root)
    assert "metadata.db was damaged or missing: the copy of the last finished run takes its place; what ran" in again.output
    assert ran(again) == JUDGING
    assert_as_good_as(again, undisturbed)
    assert again.summary["pushed"] == undisturbed.summary["pushed"]
    assert versions(root, "saved_model") == ["1"]


def test_broken_metadata_without_a_copy_runs_everything_anew(config: Path, root: Path, undisturbed: Finished) -> None:
    truncate(root / "metadata.db")
    (root / "metadata.backup.db").unlink()
    again = run_here(config, root)
    assert "metadata.db was damaged or missing: there is no copy of it, so everything runs anew." in again.output
    assert set(again.states.values()) == {"ran"}
    assert_as_good_as(again, undisturbed)
    label = f"damaged-{again.summary['run_id']}"
    assert (root / f"metadata.db.{label}").exists()
    assert (root / f"artifacts.{label}" / "Trainer").is_dir()
    assert "1" in versions(root, "saved_model")
    assert_every_version_is_whole(root)
    assert ran(run_here(config, root)) == JUDGING


def test_clock_that_goes_back_a_day_changes_nothing(config: Path, root: Path, undisturbed: Finished) -> None:
    send_to_tomorrow(root)
    again = run_here(config, root)
    assert ran(again) == JUDGING
    assert NOT_REUSED not in again.output
    assert_as_good_as(again, undisturbed)

    trained = run_here(config, root, "fit.seed=2")
    assert trained.code == 0, trained.output
    assert ran(trained) == {"Trainer", *JUDGING}
    assert trained.summary["metrics"]["baseline"] == undisturbed.summary["metrics"]["candidate"]
    assert trained.summary["pushed"]["saved_model"] == "pushed/saved_model/2"
    assert (root / "runs" / "latest").resolve().name == trained.summary["run_id"]

    # What is compared with is the newest model by the order of events, not by the clock.
    other = run_here(config, root, "fit.seed=3")
    assert other.summary["metrics"]["baseline"] == trained.summary["metrics"]["candidate"]
    assert other.summary["pushed"]["saved_model"] == "pushed/saved_model/3"
    assert_every_version_is_whole(root)


def send_to_tomorrow(root: Path) -> None:
    """Make a root a day younger than it is.

    Most artifacts are left alone: their times are part of cache keys, and no clock changes what is written already. Models and
    blessings are what the latest blessed model is chosen from.
    """
    day_ms = 24 * 60 * 60 * 1000
    compared = "WHERE type_id IN (SELECT id FROM Type WHERE name IN ('Model', 'ModelBlessing'))"
    with contextlib.closing(sqlite3.connect(root / "metadata.db")) as connection, connection:
        for table, which in (("Execution", ""), ("Context", ""), ("Artifact", compared)):
            times = ("create_time_since_epoch", "last_update_time_since_epoch")
            changes = ", ".join(f"{column} = {column} + {day_ms}" for column in times)
            assert connection.execute(f"UPDATE {table} SET {changes} {which}").rowcount > 1
        connection.execute(f"UPDATE Event SET milliseconds_since_epoch = milliseconds_since_epoch + {day_ms}")
    for path in root.rglob("*"):
        time_ns = path.lstat().st_mtime_ns + day_ms * 10**6
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)


def ran(finished: Finished) -> set[str]:
    assert set(finished.states.values()) <= {"ran", "reused"}, finished.output
    return {stage for stage, state in finished.states.items() if state == "ran"}


def not_reused(finished: Finished) -> list[str]:
    """Return what the run says that it does not reuse."""
    return [line.removeprefix(NOT_REUSED) for line in finished.output.splitlines() if line.startswith(NOT_REUSED)]


def assert_as_good_as(finished: Finished, undisturbed: Finished) -> None:
    """Its outcome is the same, but for the number of a version that may have been pushed."""
    assert finished.code == 0, finished.output
    assert finished.summary["pushed"]["saved_model"]
    assert found_out(finished) == found_out(undisturbed)
    assert unfinished_executions(finished.root) == []


def found_out(finished: Finished) -> dict[str, Any]:
    return outcome(finished) | {"pushed": None}
