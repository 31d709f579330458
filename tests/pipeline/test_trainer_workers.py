"""Several workers of one training on this machine."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from test_trainer_executor import TOLD, arguments
from tfx.utils import json_utils

from pipeline.components import trainer_workers
from pipeline.components.trainer_executor import Executor
from pipeline.components.trainer_workers import run_workers


def position() -> int:
    return json.loads(os.environ["TF_CONFIG"])["task"]["index"]


def wait_if_chief(file: Path, content: str) -> None:
    """Be the last to end: when the chief has, nobody waits for others."""
    if position() == 0:
        wait_for(file, content)


def wait_for(file: Path, content: str) -> None:
    while not (file.exists() and file.read_text().startswith(content)):
        time.sleep(0.01)


def test_workers_know_each_other(tmp_path: Path):
    def work() -> None:
        (tmp_path / str(position())).write_text(os.environ["TF_CONFIG"])
        wait_if_chief(tmp_path / "1", "{")

    run_workers(work, 2)
    chief, other = (json.loads((tmp_path / name).read_text()) for name in ("0", "1"))
    assert chief["cluster"] == other["cluster"]
    assert len(set(chief["cluster"]["worker"])) == 2
    assert "TF_CONFIG" not in os.environ


def test_all_start_again_when_one_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    def work() -> None:
        attempts = tmp_path / f"attempts-{position()}"
        attempts.write_text(attempts.read_text() + "x" if attempts.exists() else "x")
        if attempts.read_text() == "x":
            if position() == 1:
                wait_for(tmp_path / "attempts-0", "x")
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # as a worker that waits for the other's gradients
        wait_if_chief(tmp_path / "attempts-1", "xx")

    caplog.set_level("INFO")
    began = time.monotonic()
    run_workers(work, 2)
    assert time.monotonic() - began < 30
    assert [(tmp_path / f"attempts-{n}").read_text() for n in range(2)] == ["xx", "xx"]
    assert "worker 1 (SIGKILL) was killed: all workers start again from the last checkpoint" in caplog.text


def test_a_worker_that_fails_is_not_tried_again(tmp_path: Path):
    def work() -> None:
        (tmp_path / f"{position()}-{os.getpid()}").touch()
        if position() == 1:
            raise ValueError("Training diverged.")
        time.sleep(60)

    with pytest.raises(RuntimeError, match=r"^Worker 1 of 2 failed: Training diverged\.$"):
        run_workers(work, 2)
    assert len([name for name in os.listdir(tmp_path) if name.startswith("1-")]) == 1


def test_workers_that_are_always_killed_are_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer_workers, "_MOST_STARTS", 2)
    with pytest.raises(RuntimeError, match=r"^Workers were killed in 2 attempts, the last time worker [01] \(SIGKILL\)"):
        run_workers(lambda: os.kill(os.getpid(), signal.SIGKILL), 2)


def leave_where_told(fn_args) -> None:
    """A run_fn that leaves a model, and says where."""
    os.makedirs(fn_args.serving_model_dir)
    Path(os.environ["TOLD_FOLDER"], str(position())).write_text(json.dumps([fn_args.serving_model_dir, fn_args.checkpoint_dir]))


def test_only_the_chief_writes_to_the_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    told = tmp_path / "told"
    told.mkdir()
    monkeypatch.setenv("TOLD_FOLDER", str(told))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    inputs, outputs, properties = arguments(tmp_path, "remember")
    properties |= {
        "run_fn": f"{__name__}.{leave_where_told.__name__}",
        "custom_config": json_utils.dumps({"settings": "{}", "workers": 2}),
    }
    Executor().Do(inputs, outputs, properties)
    chief = json.loads((told / "0").read_text())
    assert chief[0].startswith(str(tmp_path / "Trainer/model/7"))
    assert os.path.isdir(chief[0])
    if (told / "1").exists():  # it may be late: the chief's is the result
        other = json.loads((told / "1").read_text())
        assert not other[0].startswith(str(tmp_path / "Trainer"))
        assert other[1] == chief[1]  # all read the same checkpoints
    assert os.listdir(tmp_path / "Trainer" / "model") == ["7"]


def test_another_worker_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    TOLD.clear()
    Executor().Do(*arguments(tmp_path, "remember"))
    assert not os.path.exists(TOLD[0].serving_model_dir)
    assert not (tmp_path / "Trainer").exists()
    Executor().Do(*arguments(tmp_path, "forget"))  # no model is asked of it
