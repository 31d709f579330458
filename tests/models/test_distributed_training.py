"""The same training over logical devices and over processes: same weights, and none lost with a killed worker.

In processes of their own: logical devices and workers are fixed when TensorFlow starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_process import NUM_TRAIN, RESULT_FILE, STEPS_FILE

from models.checkpoint_files import Checkpoint, write

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(Path(__file__).with_name("training_process.py"))
GLOBAL_BATCH, EPOCHS, SECONDS = 48, 4, 200
STEPS = -(-NUM_TRAIN // GLOBAL_BATCH)
ONE = {
    "epochs": EPOCHS,
    "batch_size": GLOBAL_BATCH,
    "learning_rate": 0.02,
    "learning_rate_scaling": "none",
    "optimizer": "adam",
    "early_stopping_patience": None,
}
HALF = ONE | {"batch_size": GLOBAL_BATCH // 2}
# Float32 sums in another order, over 20 steps of Adam; the weights move by more than 0.2.
TOLERANCE = 1e-5


class Trainings:
    """The process that trainings are forked from."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 1}
        self._process = subprocess.Popen([sys.executable, SCRIPT], cwd=ROOT, env=environment, text=True, **pipes)
        self._statuses: dict[int, int] = {}
        self._started: list[int] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            numbers = [int(word) for word in line.split() if word.lstrip("-").isdigit()]
            if len(numbers) == 1:
                self._started.append(numbers[0])
            elif numbers:
                self._statuses[numbers[0]] = numbers[1]

    def start(self, asked: dict[str, Any], folders: Sequence[Path]) -> list[int]:
        """Start processes that train together, one for each folder; return their ids."""
        already = len(self._started)
        clusters = _clusters(len(folders)) if len(folders) > 1 else [""]
        for folder, cluster in zip(folders, clusters, strict=True):
            self._process.stdin.write(json.dumps({"asked": asked | {"folder": str(folder)}, "tf_config": cluster}) + "\n")
        wait_for(lambda: len(self._started) == already + len(folders))
        return self._started[already:]

    def status(self, pid: int) -> int | None:
        """Return how a process ended, None if it has not."""
        return self._statuses.get(pid)

    def train(self, asked: dict[str, Any], folders: Sequence[Path]) -> list[dict[str, Any]]:
        """Train to the end; return what each process says."""
        pids = self.start(asked, folders)
        wait_for(lambda: all(self.status(pid) is not None for pid in pids))
        assert [self.status(pid) for pid in pids] == [0] * len(pids), (folders[0] / "errors").read_text()[-3000:]
        return [json.loads((folder / RESULT_FILE).read_text()) for folder in folders]

    def close(self) -> None:
        """End all of them."""
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is the case, but not for ever."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _clusters(number: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    return [json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}) for i in range(number)]


def weights(folder: Path) -> list[np.ndarray]:
    """Return what a training left."""
    with np.load(folder / "weights.npz") as saved:
        return [saved[name] for name in saved.files]


def difference(one: Path, other: Path) -> float:
    """Return the largest between two weights."""
    return max(float(np.abs(x - y).max()) for x, y in zip(weights(one), weights(other), strict=True))


@pytest.fixture(scope="session")
def trainings() -> Iterator[Trainings]:
    """Import TensorFlow once for all of them."""
    started = Trainings()
    yield started
    started.close()


@pytest.fixture(scope="session")
def single(trainings: Trainings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One device: the folder and what the process says."""
    folder = tmp_path_factory.mktemp("single")
    return folder, trainings.train({"kind": "one_device", "fit": ONE}, [folder])[0]


@pytest.fixture(scope="session")
def workers(trainings: Trainings, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[dict[str, Any]]]:
    """Two processes: their folders and what each says."""
    folders = [tmp_path_factory.mktemp(name) for name in ("chief", "other")]
    return folders, trainings.train({"kind": "multi_worker", "fit": HALF}, folders)


def test_mirrored_training_reaches_the_weights_of_one_device(trainings: Trainings, single, tmp_path: Path):
    (result,) = trainings.train({"kind": "mirrored", "devices": {"cpu_devices": 2}, "fit": HALF}, [tmp_path])
    assert (result["replicas"], result["reason"]) == (2, "mirrored over 2 logical devices of the CPU")
    assert result["strategy_of_result"] == "_DefaultDistributionStrategy"  # nothing is left of it in what is exported
    assert difference(tmp_path, single[0]) < TOLERANCE
    assert result["history"]["val_loss"] == pytest.approx(single[1]["history"]["val_loss"], abs=1e-5)
    assert len(result["history"]["loss"]) == EPOCHS


def test_two_workers_reach_the_weights_of_one_device(single, workers):
    (folder, other_folder), (chief, other) = workers
    assert chief["reason"] == "2 workers of 1 device(s), this is worker 0, the chief"
    assert other["reason"] == "2 workers of 1 device(s), this is worker 1, not the chief"
    assert chief["history"] == other["history"]
    assert difference(folder, single[0]) < TOLERANCE
    assert not (other_folder / "weights.npz").exists()


def test_training_goes_on_after_a_worker_was_killed(trainings: Trainings, workers, tmp_path: Path):
    fit = HALF | {"checkpoint_steps": 2}
    asked = {"kind": "multi_worker", "fit": fit, "checkpoints": str(tmp_path / "checkpoints")}
    folders = [tmp_path / "0", tmp_path / "1"]
    chief, other = trainings.start(asked | {"slow": 0.1}, folders)
    wait_for(lambda: steps_done(folders[0]) >= STEPS + 3 or trainings.status(chief) is not None)  # in the second epoch
    assert trainings.status(chief) is None, (folders[0] / "errors").read_text()[-3000:]
    os.kill(other, signal.SIGKILL)
    wait_for(lambda: trainings.status(chief) is not None and trainings.status(other) is not None)
    done = steps_done(folders[0])
    assert trainings.status(other) == -signal.SIGKILL
    assert trainings.status(chief) != 0
    assert "Another worker is gone, so no further step can be taken." in (folders[0] / "errors").read_text()
    assert not (folders[0] / "weights.npz").exists()

    results = trainings.train(asked, folders)
    epochs, steps = results[0]["resumed"]
    assert results[1]["resumed"] == [epochs, steps]
    assert done - 2 <= epochs * STEPS + steps <= done < STEPS * EPOCHS
    assert difference(folders[0], workers[0][0]) == 0.0
    assert results[0]["history"]["val_loss"] == workers[1][0]["history"]["val_loss"]


def test_workers_that_see_different_checkpoints_do_not_begin(trainings: Trainings, tmp_path: Path):
    folders = [tmp_path / "0", tmp_path / "1"]
    write(Checkpoint(1, False, {}, 0.1, {}, {}), str(folders[1] / "own" / "checkpoint.npz"))
    pids = trainings.start({"kind": "multi_worker", "fit": HALF, "checkpoints": "{folder}/own"}, folders)
    wait_for(lambda: all(trainings.status(pid) is not None for pid in pids))
    assert [trainings.status(pid) for pid in pids] == [1, 1]
    for folder, found in zip(folders, ("no checkpoint", "epoch 1, step 0"), strict=True):
        expected = f"The workers do not begin at the same step: this one found {found} in {folder / 'own' / 'checkpoint.npz'}"
        assert expected in (folder / "errors").read_text()


def steps_done(folder: Path) -> int:
    """Return how many steps a training has done."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / STEPS_FILE).read_text())
    return 0
