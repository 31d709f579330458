"""The compiled Vertex AI job, executed on this machine: the same work, and the same result, as the local run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline_runs import Finished, captured_descriptors
from small_pipeline import write_config

from pipeline.local.stage_processes import StageProcesses
from pipeline.vertex.rehearsal.rehearsing import RehearsalOptions, rehearse
from pipeline.vertex.rehearsal.warm import PRELOADED

pytestmark = pytest.mark.e2e

TUNER = {
    "algorithm": "random",
    "budget": {"trials": 2},
    "space": {"fit.learning_rate": {"kind": "float", "min": 0.003, "max": 0.1}},
}
BUCKET = "gs://my-project-pipelines"


@pytest.fixture(scope="module")
def runtime(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's runtime, without Dataflow."""
    values = yaml.safe_load((repository / "configs" / "runtime" / "vertex.example.yaml").read_text())
    del values["dataflow"]
    assert values["bucket"] == BUCKET
    file = tmp_path_factory.mktemp("runtime") / "vertex.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.fixture(scope="module")
def processes() -> Iterator[StageProcesses]:
    started = StageProcesses(PRELOADED)
    yield started
    started.close()


def command(config: Path, runtime: Path, root: Path, *arguments: str) -> list[str]:
    asked = {"--config": config, "--runtime": runtime, "--root": root}
    return [sys.executable, "runner_vertex.py", "rehearse", *(str(part) for pair in asked.items() for part in pair), *arguments]


def rehearse_here(processes: StageProcesses, config: Path, runtime: Path, root: Path, *overrides: str, **how: Any) -> Finished:
    """Rehearse in this process, its tasks forked from processes that all such rehearsals share."""
    printed = root.parent / f"{root.name}.output.txt"
    printed.write_text("")
    with captured_descriptors(printed):
        code = rehearse(RehearsalOptions(config, runtime, root, overrides, **how), processes)
    return Finished.read(code, printed.read_text(), root)


def tasks_of(done: Finished) -> dict[str, Any]:
    """Return what the rehearsal wrote down of every task."""
    notes = json.loads((done.root / "runs" / "latest" / "rehearsal.json").read_text())
    return {task["name"]: task for task in notes["tasks"]}


@pytest.fixture(scope="module")
def rehearsed(repository: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The main job, as a user rehearses it."""
    root = tmp_path_factory.mktemp("rehearsal") / "root"
    asked = command(Path("configs/taxi.yaml"), runtime, root)
    done = subprocess.run(asked, cwd=repository, capture_output=True, text=True, timeout=900, check=False)
    return Finished.read(done.returncode, done.stdout + done.stderr, root)


@pytest.fixture(scope="module")
def tasks(rehearsed: Finished) -> dict[str, Any]:
    return tasks_of(rehearsed)


def test_every_task_of_the_job_runs_and_both_models_are_pushed_into_the_bucket(
    rehearsed: Finished, taxi: Finished, tasks: dict[str, Any]
) -> None:
    assert rehearsed.code == 0, rehearsed.output
    assert rehearsed.summary["status"] == "succeeded"
    assert rehearsed.states == dict.fromkeys(taxi.states, "ran")
    assert len(tasks) == 14
    assert {(task["state"], task["tries"]) for task in tasks.values()} == {("SUCCEEDED", 1)}
    ran = {name for name, task in tasks.items() if task["log"]}
    assert ran == set(tasks) - {"LatestBlessedModel-model-resolver", "LatestBlessedModel-model-blessing-resolver"}
    assert rehearsed.summary["pushed"] == {
        "saved_model": "bucket/taxi/pushed/saved_model/1",
        "edge": "bucket/taxi/pushed/edge/1",
    }


@pytest.mark.parametrize("stage", ["CuratedSchema", "DataGate", "ModelGate", "Compressor", "EdgePusher", "Pusher", "Trainer"])
def test_every_component_of_ours_survives_the_round_trip(rehearsed: Finished, tasks: dict[str, Any], stage: str) -> None:
    task = tasks[stage]
    folder = f"{rehearsed.root.resolve()}/bucket/taxi/artifacts/123456789012/taxi-"
    assert task["outputs"]
    assert all(uri.startswith(folder) and f"/{stage}_" in uri for uris in task["outputs"].values() for uri in uris)
    assert " begins." in (rehearsed.root / "runs" / "latest" / task["log"]).read_text()


def test_summary_says_what_that_of_the_local_run_says(rehearsed: Finished, taxi: Finished) -> None:
    mine, theirs = rehearsed.summary, taxi.summary
    assert mine.keys() == theirs.keys()
    # Same rows, same seeds, same code: the same numbers, to the last bit.
    for same in ("metrics", "slices", "data", "config_digest", "code_digest"):
        assert mine[same] == theirs[same], same
    judged = [[(gate["name"], gate["value"], gate["passed"]) for gate in summary["gates"]] for summary in (mine, theirs)]
    assert judged[0] == judged[1]
    for variant, other in zip(mine["edge"]["variants"], theirs["edge"]["variants"], strict=True):
        assert (variant["name"], variant["size_bytes"], variant["metrics"]) == (
            other["name"],
            other["size_bytes"],
            other["metrics"],
        )


def test_pushed_models_are_those_of_the_local_run_byte_for_byte(rehearsed: Finished, taxi: Finished) -> None:
    for kind, file in (("saved_model", "variables/variables.data-00000-of-00001"), ("edge", "model.tflite")):
        pushed = (done.root / done.summary["pushed"][kind] / file for done in (rehearsed, taxi))
        assert next(pushed).read_bytes() == next(pushed).read_bytes()


def test_what_is_only_checked_is_said(rehearsed: Finished) -> None:
    assert "Checked, not rehearsed: machine of Compressor 8 CPUs, 32 GB; machine of CuratedSchema, " in rehearsed.output
    assert "4 CPUs, 16 GB; image europe-west4-docker.pkg.dev/" in rehearsed.output
    assert "service account pipeline@my-project.iam.gserviceaccount.com." in rehearsed.output


def test_second_rehearsal_reuses_what_did_not_change_and_is_quick(
    rehearsed: Finished, taxi: Finished, repository: Path, runtime: Path, processes: StageProcesses
) -> None:
    config = repository / "configs" / "taxi.yaml"
    again = rehearse_here(processes, config, runtime, rehearsed.root)
    assert again.code == 0, again.output
    # As locally: only what looks at the latest blessed model has a new input, now that there is one.
    expected = {"LatestBlessedModel", "Evaluator", "ModelGate", "Pusher", "EdgePusher"}
    assert {stage for stage, state in again.states.items() if state != "reused"} == expected
    assert again.summary["metrics"]["baseline"] == taxi.summary["metrics"]["candidate"]
    assert again.summary["pushed"] == rehearsed.summary["pushed"]
    assert again.summary["seconds"] < rehearsed.summary["seconds"] / 2
    refused = rehearse_here(processes, config, runtime, rehearsed.root, "gates.0.bound=0.999")
    assert refused.code == 3, refused.output
    assert refused.summary["pushed"] == {"saved_model": None, "edge": None}
    assert "Gate not passed: auc is" in refused.output


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose data lies in the bucket; and in the folder in place of it, in the root beside the config."""
    folder = tmp_path_factory.mktemp("small")
    config = write_config(folder, data={"path": f"{BUCKET}/data/data.csv"}, tuner=TUNER)
    data = folder / "root" / "bucket" / "data"
    data.mkdir(parents=True)
    shutil.move(folder / "data.csv", data)
    return config


@pytest.fixture(scope="module")
def small_rehearsed(small: Path, runtime: Path, processes: StageProcesses) -> Finished:
    """With an exit handler: all other tasks are in a group then, which it waits for."""
    values = yaml.safe_load(runtime.read_text()) | {"notify": {"on": ["succeeded"], "topic": "projects/my-project/topics/ml"}}
    file = small.parent / "told.yaml"
    file.write_text(yaml.safe_dump(values))
    return rehearse_here(processes, small, file, small.parent / "root", "compression=null")


def test_exit_handler_runs_last_and_tells_nobody_of_a_rehearsal(small_rehearsed: Finished) -> None:
    assert list(small_rehearsed.states)[-1] == "ExitHandler"
    log = (small_rehearsed.root / "runs" / "latest" / "tasks" / "ExitHandler.txt").read_text()
    assert "A rehearsal tells nobody" in log
    assert "Pipeline small succeeded." in log
    assert "Published" not in log


def test_data_in_the_bucket_is_read_from_the_folder_and_search_and_inferred_schema_are_tasks_too(
    small_rehearsed: Finished,
) -> None:
    assert small_rehearsed.code == 0, small_rehearsed.output
    assert set(small_rehearsed.states.values()) == {"ran"}
    assert {"Tuner", "SchemaGen"} <= set(small_rehearsed.states)
    assert small_rehearsed.summary["tuning"]["reused"] is False
    assert sum(small_rehearsed.summary["data"]["examples"].values()) == 600


def test_task_that_fails_is_named_with_its_cause_and_its_log_and_is_tried_again_first(
    small: Path, small_rehearsed: Finished, runtime: Path, processes: StageProcesses, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "bucket" / "data").mkdir(parents=True)
    rows = (small_rehearsed.root / "bucket" / "data" / "data.csv").read_text().splitlines()
    (root / "bucket" / "data" / "data.csv").write_text("\n".join([*rows, *["x,y,z"] * 60]))
    done = rehearse_here(processes, small, runtime, root)
    assert done.code == 1, done.output
    assert done.states["ExampleGen"] == "failed"
    assert done.states["Trainer"] == "not_reached"
    assert "ExampleGen failed, and is tried again (1 of 1) after 1 s; the service would wait 60 s." in done.output
    error = next(stage["error"] for stage in done.summary["stages"] if stage["id"] == "ExampleGen")
    assert "60 of 660 rows" in error
    assert f"Stage ExampleGen failed: {error}" in done.output
    assert "Its own log: tasks/ExampleGen.txt" in done.output
    assert error.split(":")[0] in (root / "runs" / "latest" / "log.txt").read_text()


def test_custom_jobs_and_trials_that_tasks_ask_for_are_processes_here(
    small: Path, small_rehearsed: Finished, runtime: Path, processes: StageProcesses, tmp_path: Path
) -> None:
    machine = {"machine_type": "n1-standard-4"}
    values = yaml.safe_load(runtime.read_text())
    training = {"chief": machine, "workers": machine | {"count": 1}, "evaluator": machine}
    values |= {"training": training, "tuning": {"service": "vizier", "parallel_trials": 1}}
    (tmp_path / "vertex.yaml").write_text(yaml.safe_dump(values))
    overrides = "compression=null", "fit.warm_start=true"
    (blessed,) = tasks_of(small_rehearsed)["Trainer"]["outputs"]["model"]
    done = rehearse_here(processes, small, tmp_path / "vertex.yaml", small_rehearsed.root, *overrides)
    assert done.code == 0, done.output
    assert (done.states["Transform"], done.states["Tuner"], done.states["Trainer"]) == ("reused", "ran", "ran")
    assert "custom job of Trainer 1 x n1-standard-4; 1 x n1-standard-4; 1 x n1-standard-4" in done.output
    assert "each trial of Tuner 1 x e2-standard-4" in done.output
    logs = done.root / "runs" / "latest" / "tasks"
    assert {path.stem for path in logs.glob("small-*.txt")} == {
        "small-tuner-own.chief-0",  # the config's own values, which what is found has to beat
        "small-tuner-1.chief-0",
        "small-tuner-2.chief-0",
        "small-trainer.chief-0",
        "small-trainer.worker-0",
        "small-trainer.evaluator-0",
    }
    assert re.search(r"after epoch \d+: auc 0\.\d+", (logs / "small-trainer.evaluator-0.txt").read_text())
    assert "pipeline.components.trainer_executor.Executor begins." in (logs / "small-trainer.worker-0.txt").read_text()
    (model,) = tasks_of(done)["Trainer"]["outputs"]["model"]
    report = json.loads((Path(model) / "training.json").read_text())
    assert "2 workers of 1 device(s), this is chief 0" in report["strategy"]
    assert report["warm_start"]["from"] == blessed


def test_interrupt_leaves_no_process_and_says_how_to_go_on(
    small: Path, runtime: Path, repository: Path, tmp_path: Path
) -> None:
    shutil.copytree(small.parent / "root" / "bucket" / "data", tmp_path / "root" / "bucket" / "data")
    process = subprocess.Popen(
        command(small, runtime, tmp_path / "root"),
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Also where these tests run in the background of a shell, which has its children ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout is not None
    shown = ""
    while "ExampleGen" not in shown:
        line = process.stdout.readline()
        assert line, shown
        shown += line
    process.send_signal(signal.SIGINT)
    shown += process.communicate(timeout=60)[0]
    assert process.returncode == 130, shown
    assert "Interrupted. The same command continues: finished stages are reused." in shown
    summary = json.loads((tmp_path / "root" / "runs" / "latest" / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    deadline = time.monotonic() + 20
    while left := _with(str(tmp_path)):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _with(folder: str) -> list[int]:
    """Return the processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                works_there = os.readlink(entry / "cwd").startswith(folder)
            except OSError:
                continue
            found += [int(entry.name)] if works_there else []
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("no json", "is no JSON"),
        ("{}", "is no PipelineJob: it has no pipelineSpec."),
        ('{"pipelineSpec": {}}', "Vertex AI would not take this job:\n  schemaVersion is ''"),
    ],
)
def test_job_that_is_none_is_refused_before_anything_runs(
    small: Path, runtime: Path, processes: StageProcesses, tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "job.json").write_text(content)
    done = rehearse_here(processes, small, runtime, tmp_path / "root", job=tmp_path / "job.json")
    assert done.code == 2
    assert expected in done.output
    assert list((tmp_path / "root" / "runs").iterdir()) == []
