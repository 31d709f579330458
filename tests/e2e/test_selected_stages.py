"""--from, --to and --only; two runs on one root; a reader that goes away; an edited module."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faulty_runs import command, environment, outcome, unfinished_executions
from pipeline_runs import Finished, run_cli, run_here
from small_pipeline import write_config

from pipeline.local.lock import holder_pid

pytestmark = pytest.mark.e2e

DATA = ["ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("selected_stages"))


@pytest.fixture(scope="module")
def finished(config: Path) -> Finished:
    """Two runs on a root: the second has seen a blessed model, so that nothing but the search for one has to run again."""
    run_here(config, config.parent / "root")
    second = run_here(config, config.parent / "root")
    assert second.code == 0, second.output
    return second


def test_to_skips_what_comes_after(config: Path, finished: Finished) -> None:
    done = run_here(config, finished.root, last="Transform")
    assert done.code == 0, done.output
    assert done.states == {
        **dict.fromkeys([*DATA, "Transform"], "reused"),
        **dict.fromkeys(["Trainer", "LatestBlessedModel", "Evaluator", "ModelGate", "Pusher"], "skipped"),
    }
    assert done.summary["pushed"]["saved_model"] is None


def test_to_on_an_empty_root_runs_what_the_stage_needs(config: Path, tmp_path: Path) -> None:
    done = run_here(config, tmp_path / "root", last="StatisticsGen")
    assert done.code == 0, done.output
    assert {stage: state for stage, state in done.states.items() if state != "skipped"} == {
        "ExampleGen": "ran",
        "StatisticsGen": "ran",
    }


def test_from_runs_anew_what_follows_and_reuses_what_it_needs(config: Path, finished: Finished) -> None:
    done = run_here(config, finished.root, first="Evaluator")
    assert done.code == 0, done.output
    assert done.states == {
        **dict.fromkeys([*DATA, "Transform", "Trainer"], "reused"),
        **dict.fromkeys(["LatestBlessedModel", "Evaluator", "ModelGate", "Pusher"], "ran"),
    }
    assert outcome(done) == outcome(finished)


def test_reader_that_goes_away_stops_no_run(repository: Path, config: Path, finished: Finished) -> None:
    before = (finished.root / "runs" / "latest").resolve().name
    process = start(repository, config, finished.root)
    assert process.stdout.readline() == "small: config and data description are fine, loading TFX ...\n"
    process.stdout.close()  # as `| head -1` does
    assert process.wait(300) == 0
    done = Finished.read(0, "", finished.root)
    assert done.summary["run_id"] != before
    assert outcome(done) == outcome(finished)


def test_only_runs_one_stage(config: Path, finished: Finished) -> None:
    done = run_here(config, finished.root, first="Trainer", last="Trainer")
    assert done.code == 0, done.output
    assert {stage for stage, state in done.states.items() if state == "ran"} == {"Trainer"}
    assert {done.states[stage] for stage in [*DATA, "Transform"]} == {"reused"}
    assert {done.states[stage] for stage in ("LatestBlessedModel", "Evaluator", "ModelGate", "Pusher")} == {"skipped"}
    assert unfinished_executions(finished.root) == []


def test_only_fails_where_what_it_needs_has_not_run(config: Path, tmp_path: Path) -> None:
    done = run_here(config, tmp_path / "root", first="Trainer", last="Trainer")
    assert done.code == 1
    assert done.summary["status"] == "failed"
    assert done.states["ExampleGen"] == "failed"
    assert done.states["Trainer"] == "not_reached"
    assert (
        "Stage ExampleGen failed: ExampleGen comes before the stage to begin with, and cannot be reused: it has not run with "
        "this data, config, code and blessed model. Leave out --from or --only, or begin with it: --from ExampleGen.\n"
    ) in done.output
    assert "What to do" not in done.output
    assert unfinished_executions(done.root) == []
    assert run_here(config, tmp_path / "root", last="ExampleGen").states["ExampleGen"] == "ran"


def test_unknown_stage_leaves_no_trace(config: Path, finished: Finished) -> None:
    runs = finished.root / "runs"
    before = sorted(path.name for path in runs.iterdir()), (runs / "latest").readlink()
    done = run_here(config, finished.root, first="Trainr")
    assert done.code == 2
    assert "--from: no stage is called 'Trainr'. Did you mean 'Trainer'? The stages: " in done.output
    assert (sorted(path.name for path in runs.iterdir()), (runs / "latest").readlink()) == before


def test_only_goes_without_fresh(repository: Path, config: Path, tmp_path: Path) -> None:
    done = run_cli(repository, "--config", config, "--only", "Trainer", "--fresh", root=tmp_path / "root")
    assert done.code == 2
    assert "Invalid value for --only: goes with none of --from, --to and --fresh." in " ".join(done.output.split())
    assert not (tmp_path / "root").exists()


def start(repository: Path, config: Path, root: Path) -> subprocess.Popen:
    """Start a run and wait until it holds its root."""
    process = subprocess.Popen(
        command(config, root),
        cwd=repository,
        env=environment(repository, None),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while holder_pid(root) != process.pid:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_second_run_on_a_root_is_refused_and_the_first_goes_on(
    repository: Path, config: Path, finished: Finished, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    first = start(repository, config, root)
    second = run_cli(repository, "--config", config, root=root)
    assert second.code == 4
    assert second.output.startswith(f"Process {first.pid} (since ")
    assert second.output.endswith(f" is running on {root}. Wait for it, stop it, or choose another --root.\n")
    assert len(second.output.splitlines()) == 1
    printed, _ = first.communicate(timeout=300)
    done = Finished.read(first.returncode, printed, root)
    assert done.code == 0, printed
    assert outcome(done) == outcome(finished)
    assert len([path for path in (root / "runs").iterdir() if not path.is_symlink()]) == 1


def test_root_of_a_killed_holder_is_free_at_once(repository: Path, config: Path, finished: Finished, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = start(repository, config, root)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert holder_pid(root) is None
    done = run_here(config, root)
    assert done.code == 0, done.output
    assert outcome(done) == outcome(finished)


def test_edited_helper_of_preprocessing_runs_transform_and_what_follows(
    repository: Path, config: Path, finished: Finished, tmp_path: Path
) -> None:
    copy = tmp_path / "checkout"
    for name in ("pipeline", "models", "preprocessing"):
        shutil.copytree(repository / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "runner_local.py", copy)
    with (copy / "preprocessing" / "ops.py").open("a") as file:
        file.write("\n# One more line.\n")
    done = run_cli(copy, "--config", config, root=finished.root)
    assert done.code == 0, done.output
    assert {stage for stage, state in done.states.items() if state == "reused"} == set(DATA)
    assert {stage for stage, state in done.states.items() if state == "ran"} == set(done.states) - set(DATA)
