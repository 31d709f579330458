"""A run is killed at many points; the next one succeeds, with the metrics of a run that nobody disturbed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from faulty_runs import assert_every_version_is_whole, fault, leftovers, outcome, run_harmed, unfinished_executions, versions
from pipeline_runs import Finished, run_here
from small_pipeline import COMPRESSION, write_config

pytestmark = pytest.mark.e2e

EXECUTORS = {
    "ExampleGen": "pipeline.components.example_gen_executor:Executor.Do",
    "StatisticsGen": "pipeline.components.statistics_gen:Executor.Do",
    "SchemaGen": "pipeline.components.schema_gen_executor:Executor.Do",
    "ExampleValidator": "pipeline.components.example_validator_executor:Executor.Do",
    "Transform": "pipeline.components.transform:Executor.Do",
    "Trainer": "pipeline.components.trainer_executor:Executor.Do",
    "Evaluator": "pipeline.components.evaluator:Executor.Do",
    "Pusher": "pipeline.components.publisher:PusherExecutor.Do",
    "EdgePusher": "pipeline.components.publisher:EdgePusherExecutor.Do",
    "Compressor": "pipeline.components.compressor_executor:Executor.Do",
}
PUBLISHED = "tfx.orchestration.portable.execution_publish_utils:publish_succeeded_execution"

POINTS = {
    # A stage has begun, or is done but has not said so yet.
    "ExampleGen begins": fault(EXECUTORS["ExampleGen"]),
    "ExampleGen between its blocks": fault("pipeline.ingest.tfrecords:_ShardedWriter.write", "after"),
    "ExampleGen is done": fault(EXECUTORS["ExampleGen"], "after"),
    "StatisticsGen is done": fault(EXECUTORS["StatisticsGen"], "after"),
    "SchemaGen is done": fault(EXECUTORS["SchemaGen"], "after", "kill_runner"),
    "ExampleValidator is done": fault(EXECUTORS["ExampleValidator"], "after"),
    "DataGate reads": fault("pipeline.components.data_gate:read_anomalies", "after", "kill_runner"),
    "Transform has its constants": fault("pipeline.columnar.transforming:_save"),
    "Transform between its splits": fault("pipeline.columnar.transforming:_apply", "after"),
    "Transform in the midst of a file": fault("pipeline.columnar.shards:write_shard"),
    "Trainer after its first epoch": fault("models.checkpoints:Checkpoints.on_epoch_end", "after"),
    "Trainer after its third epoch": fault("models.checkpoints:Checkpoints.on_epoch_end", "after", "kill_runner", 3),
    "Trainer saves a checkpoint": fault("models.checkpoints:Checkpoints._write"),
    "Trainer exports": fault("models.serving:export", "after"),
    "Trainer is done": fault(EXECUTORS["Trainer"], "after"),
    "Evaluator is done": fault(EXECUTORS["Evaluator"], "after"),
    "ModelGate judges": fault("pipeline.gates:judge", "after", "kill_runner"),
    "Pusher has copied": fault("pipeline.publishing:_sync"),
    "Pusher has renamed": fault("pipeline.publishing:_rename_to_next", "after"),
    # The runner itself.
    "runner writes down the first stage": fault(PUBLISHED),
    "runner has written down the fifth stage": fault(PUBLISHED, "after", count=5),
    "runner sums up": fault("pipeline.local.summary:summarize"),
    "runner copies its database": fault("pipeline.local.store:_copy"),
}
EDGE_POINTS = {
    "Compressor before its jobs": fault("models.compression.compress:_run_workshop"),
    "Compressor in a job": fault("models.compression.work:perform", "after"),
    "between the pushes": fault(EXECUTORS["EdgePusher"]),
    "EdgePusher is done": fault(EXECUTORS["EdgePusher"], "after"),
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def edge_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("small_edge"), **COMPRESSION)


@pytest.fixture(scope="module")
def undisturbed(config: Path) -> Finished:
    return run_here(config, config.parent / "undisturbed")


@pytest.fixture(scope="module")
def undisturbed_edge(edge_config: Path) -> Finished:
    return run_here(edge_config, edge_config.parent / "undisturbed")


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_run_after_a_killed_one_ends_like_an_undisturbed_one(
    repository: Path, config: Path, undisturbed: Finished, tmp_path: Path, point: dict[str, Any]
) -> None:
    kill_and_resume(repository, config, undisturbed, tmp_path / "root", point)


@pytest.mark.parametrize("point", EDGE_POINTS.values(), ids=EDGE_POINTS)
def test_run_after_one_killed_over_its_edge_model_ends_like_an_undisturbed_one(
    repository: Path, edge_config: Path, undisturbed_edge: Finished, tmp_path: Path, point: dict[str, Any]
) -> None:
    kill_and_resume(repository, edge_config, undisturbed_edge, tmp_path / "root", point)


def kill_and_resume(repository: Path, config: Path, undisturbed: Finished, root: Path, point: dict[str, Any]) -> None:
    assert undisturbed.code == 0, undisturbed.output
    killed = run_harmed(repository, config, root, point)
    assert killed.code == -signal.SIGKILL, killed.output
    assert killed.summary["status"] == "interrupted"
    assert_every_version_is_whole(root)

    resumed = run_here(config, root)
    assert resumed.code == 0, resumed.output
    assert outcome(resumed) == outcome(undisturbed)
    assert unfinished_executions(root) == []
    assert leftovers(root) == []
    assert_every_version_is_whole(root)
    assert versions(root, "saved_model") == ["1"]
    assert versions(root, "edge") == (["1"] if undisturbed.summary["edge"] else [])

    again = run_here(config, root)
    states = {again.states[stage] for stage in ("ExampleGen", "StatisticsGen", "Transform", "Trainer")}
    assert states == {"reused"}
    assert again.summary["pushed"] == resumed.summary["pushed"]


@pytest.mark.parametrize(
    "point",
    [
        fault("models.checkpoints:Checkpoints.on_epoch_end", "after", count=8),
        fault("models.compression.work:perform", "after", "kill_runner"),
    ],
    ids=["in training", "in compression"],
)
def test_main_job_that_was_killed_ends_like_an_undisturbed_one(
    repository: Path, taxi: Finished, tmp_path: Path, point: dict[str, Any]
) -> None:
    config, root = repository / "configs" / "taxi.yaml", tmp_path / "root"
    killed = run_harmed(repository, config, root, point)
    assert killed.code == -signal.SIGKILL, killed.output
    resumed = run_here(config, root)
    assert resumed.code == 0, resumed.output
    assert resumed.states["Transform"] == "reused"
    assert outcome(resumed) == outcome(taxi)
    assert unfinished_executions(root) == []
    assert leftovers(root) == []
    assert_every_version_is_whole(root)
    assert versions(root, "saved_model") == versions(root, "edge") == ["1"]


def test_what_was_finished_is_reused_and_training_goes_on(repository: Path, config: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    run_harmed(repository, config, root, fault("models.checkpoints:Checkpoints.on_epoch_end", "after", count=3))
    resumed = run_here(config, root)
    assert resumed.states == {
        **dict.fromkeys(["ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Transform"], "reused"),
        **dict.fromkeys(["Trainer", "LatestBlessedModel", "Evaluator", "ModelGate", "Pusher"], "ran"),
    }
    assert "The last run was killed. Its finished stages are reused, the interrupted ones start clean." in resumed.output
    again = run_here(config, root)
    assert {again.states[stage] for stage in ("ExampleGen", "StatisticsGen", "Transform", "Trainer")} == {"reused"}
    assert again.summary["pushed"] == resumed.summary["pushed"]
    report = json.loads((resumed.folder("Trainer", "model") / "training.json").read_text())
    assert report["resumed_after_epochs"] in (1, 2, 3)  # a checkpoint is written as often as is cheap
    assert report["epochs"] == len(report["loss"]) == 6


def test_fresh_run_begins_training_from_nothing(repository: Path, config: Path, undisturbed: Finished, tmp_path: Path) -> None:
    root = tmp_path / "root"
    run_harmed(repository, config, root, fault("models.checkpoints:Checkpoints.on_epoch_end", "after", count=3))
    fresh = run_here(config, root, fresh=True)
    assert set(fresh.states.values()) == {"ran"}
    assert json.loads((fresh.folder("Trainer", "model") / "training.json").read_text())["resumed_after_epochs"] == 0
    assert outcome(fresh) == outcome(undisturbed)


@pytest.mark.parametrize("stage", ["Transform", "Trainer"])
def test_stage_that_is_killed_alone_fails_the_run_which_says_so(
    repository: Path, config: Path, tmp_path: Path, stage: str
) -> None:
    root = tmp_path / "root"
    failed = run_harmed(repository, config, root, fault(EXECUTORS[stage], "after", "kill_this"))
    assert failed.code == 1
    assert failed.summary["status"] == "failed"
    assert failed.states[stage] == "failed"
    assert f"Stage {stage} failed: Its process was killed (SIGKILL): most often by the kernel" in failed.output
    assert "What to do: Use --jobs 1" in failed.output
    assert unfinished_executions(root) == []
    assert run_here(config, root).code == 0


@pytest.mark.parametrize("how", ["interrupt", "terminate"])
def test_interrupted_run_says_so_at_once_and_is_continued(repository: Path, config: Path, tmp_path: Path, how: str) -> None:
    root = tmp_path / "root"
    stopped = run_harmed(repository, config, root, fault("models.checkpoints:Checkpoints.on_epoch_end", "after", how))
    assert stopped.code == 130, stopped.output
    assert stopped.summary["status"] == "interrupted"
    assert stopped.states["Transform"] == "ran"
    assert stopped.states["Trainer"] == "failed"
    assert stopped.states["Pusher"] == "not_reached"
    assert "Interrupted. The same command continues: finished stages are reused." in stopped.output
    assert unfinished_executions(root) == []
    resumed = run_here(config, root)
    assert resumed.code == 0
    assert resumed.states["Transform"] == "reused"
