"""The disk is full, or cannot be written: the run says so, leaves its summary, and goes on when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import small_disk
from faulty_runs import assert_every_version_is_whole, fault, leftovers, outcome, unfinished_executions, versions
from pipeline_runs import Finished
from small_disk import SmallDisk
from small_pipeline import write_config

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(small_disk.cannot_be_made() is not None, reason=f"No small disk: {small_disk.cannot_be_made()}."),
]

CURE = "Free some space (`runner_local.py gc --dry-run` shows what old runs hold) or choose another --root"
POINTS = {
    "Transform": fault("pipeline.columnar.shards:write_shard", what="fill_disk"),
    "Trainer": fault("models.checkpoints:Checkpoints._write", what="fill_disk"),
    "Pusher": fault("pipeline.publishing:_publish_local", what="fill_disk"),
}
PUBLISHED = "tfx.orchestration.portable.execution_publish_utils:publish_succeeded_execution"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    folder = tmp_path_factory.mktemp("full_disks")
    made = SmallDisk(folder / "disk", write_config(folder / "small"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(disk: SmallDisk) -> Finished:
    disk.mount("128m")
    finished = disk.run()
    assert finished.code == 0, finished.output
    return finished


@pytest.mark.parametrize("stage", POINTS)
def test_disk_that_fills_in_a_stage_is_named_with_its_cure(disk: SmallDisk, undisturbed: Finished, stage: str) -> None:
    disk.mount("128m")
    failed = disk.run_harmed(POINTS[stage])
    assert failed.code == 1, failed.output
    assert failed.summary["status"] == "failed"
    assert failed.states[stage] == "failed"
    assert f"Stage {stage} failed: The disk is full: " in failed.output
    assert "No space left on device" in failed.output
    assert_told_in_a_few_words(failed)
    assert versions(failed.root, "saved_model") == []
    goes_on(disk, undisturbed)


def test_disk_that_fills_before_the_runner_writes_down_a_stage(disk: SmallDisk, undisturbed: Finished) -> None:
    disk.mount("128m")
    failed = disk.run_harmed(fault(PUBLISHED, what="fill_disk", count=5))
    assert failed.code == 1, failed.output
    assert failed.summary["status"] == "failed"
    assert " failed: The disk is full: there is no room for what metadata.db is to hold. " in failed.output
    assert_told_in_a_few_words(failed)
    goes_on(disk, undisturbed)


def test_disk_that_fills_after_the_stages(disk: SmallDisk, undisturbed: Finished) -> None:
    disk.mount("128m")
    failed = disk.run_harmed(fault("pipeline.local.store:_copy", what="fill_disk"))
    assert failed.code == 0, failed.output
    assert set(failed.states.values()) == {"ran"}
    assert list(failed.root.glob(".metadata*")) == []
    assert_every_version_is_whole(failed.root)
    goes_on(disk, undisturbed)


def test_disk_that_is_too_small_from_the_start_stops_before_anything_is_written(disk: SmallDisk, undisturbed: Finished) -> None:
    disk.mount("40m")
    failed = disk.run()
    assert failed.code == 1
    assert failed.summary["status"] == "failed"
    assert failed.states["ExampleGen"] == "failed"
    (error,) = [stage["error"] for stage in failed.summary["stages"] if stage["error"]]
    assert error.startswith("ExampleGen needs about 64 MiB in ")
    assert error.endswith(f" MiB is free. {CURE}; the same command continues.")
    assert f"Stage ExampleGen failed: {error}" in failed.output
    assert_told_in_a_few_words(failed)
    disk.remount("size=128m")
    resumed = disk.run()
    assert resumed.code == 0, resumed.output
    assert outcome(resumed) == outcome(undisturbed)


def test_disk_without_room_for_a_summary_takes_no_run(disk: SmallDisk) -> None:
    disk.mount("512k")
    refused = disk.run()
    assert_refused_in_a_sentence(refused, " cannot be written: No space left on device.\n")
    assert list((refused.root / "runs").iterdir()) == []


def test_read_only_root_takes_no_run(disk: SmallDisk) -> None:
    disk.mount("128m")
    finished = disk.run()
    disk.remount("ro")
    refused = disk.run()
    assert_refused_in_a_sentence(refused, "/disk/root cannot be written: Read-only file system.\n")
    assert refused.summary == finished.summary
    disk.remount("rw")
    again = disk.run()
    assert again.code == 0
    assert again.states["Trainer"] == "reused"


def test_root_that_cannot_be_made_takes_no_run(disk: SmallDisk) -> None:
    disk.mount("128m")
    disk.remount("ro")
    refused = disk.run()
    assert_refused_in_a_sentence(refused, "/disk/root cannot be written: Read-only file system.\n")
    assert not refused.root.exists()


def assert_told_in_a_few_words(failed: Finished) -> None:
    """What the user reads names the cure, once, and neither frame nor query."""
    assert "the same command continues." in failed.output
    assert "Traceback" not in failed.output
    assert 'File "' not in failed.output
    assert "query" not in failed.output  # of ML Metadata to its database
    assert failed.output.count(CURE) == 1
    errors = [stage["error"] for stage in failed.summary["stages"] if stage["error"]]
    assert all("\n" not in error for error in errors)


def assert_refused_in_a_sentence(refused: Finished, end: str) -> None:
    assert refused.code == 2
    assert len(refused.output.splitlines()) == 1
    assert refused.output.startswith("--root ")
    assert refused.output.endswith(end)


def goes_on(disk: SmallDisk, undisturbed: Finished) -> dict[str, Any]:
    """The same command succeeds once there is room, as if nothing had been."""
    disk.remove_filler()
    resumed = disk.run()
    assert resumed.code == 0, resumed.output
    assert outcome(resumed) == outcome(undisturbed)
    assert unfinished_executions(resumed.root) == []
    assert versions(resumed.root, "saved_model") == ["1"]
    assert_every_version_is_whole(resumed.root)
    assert [left for left in leftovers(resumed.root) if "checkpoints" not in left] == []
    return resumed.states
