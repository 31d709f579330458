"""The whole pipeline with a Trainer of several workers, and of several logical devices, on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pipeline_runs import Finished, run_here
from small_pipeline import write_config
from typer.testing import CliRunner

import runner_local

pytestmark = pytest.mark.e2e

EQUAL_STEPS = ["fit.learning_rate_scaling=none", "model.dropout=0.0"]


def report(run: Finished) -> dict:
    """Return what the Trainer says of the training."""
    assert run.code == 0, run.output
    return json.loads((run.folder("Trainer", "model") / "training.json").read_text())


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("distributed_runs"))


def test_workers_and_logical_devices_train_the_model_of_one_device(config: Path) -> None:
    root = config.parent / "root"
    one = report(run_here(config, root, *EQUAL_STEPS))
    for devices, reason in (
        ({"strategy": "multi_worker", "workers": 2}, "2 workers of 1 device(s), this is worker 0, the chief"),
        ({"strategy": "mirrored", "cpu_devices": 2}, "mirrored over 2 logical devices of the CPU"),
    ):
        run = run_here(config, root, *EQUAL_STEPS, "fit.batch_size=16", **devices)
        found = report(run)
        assert found["strategy"] == reason
        assert (found["replicas"], found["global_batch_size"], found["learning_rate"]) == (2, 32, 0.01)
        assert found["eval_loss"] == pytest.approx(one["eval_loss"], abs=1e-4)
        assert (found["parameters"], found["examples"]) == (one["parameters"], one["examples"])
        assert run.summary["pushed"]["saved_model"]
    left = {path.name for path in (root / "artifacts" / "Trainer").iterdir()}
    assert left == {"model", "model_run", ".system"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cpu-devices", "2"], "goes with --strategy mirrored."),
        (["--workers", "2"], "goes with --strategy multi_worker."),
    ],
)
def test_devices_without_their_strategy_are_bad_usage(options: list[str], message: str, config: Path) -> None:
    result = CliRunner().invoke(runner_local.app, ["run", "--config", str(config), *options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
