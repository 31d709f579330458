"""Distribution strategies: which one and why, and never another than was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import tensorflow as tf

from models import distribution

ONE_CPU = pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="the texts below are those of a machine without GPUs"
)


def tf_config(cluster: Mapping[str, list[str]], kind: str, index: int) -> str:
    """Return what TF_CONFIG is set to."""
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def in_a_process(arguments: list[str]) -> subprocess.CompletedProcess:
    """Run Python."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)


@ONE_CPU
def test_auto_takes_the_one_device_there_is():
    strategy, reason = distribution.choose("auto")
    assert strategy.num_replicas_in_sync == 1
    assert not isinstance(strategy, tf.distribute.MirroredStrategy)
    assert reason == "auto: one device, /device:CPU:0"


@ONE_CPU
def test_one_device_is_taken_as_asked():
    strategy, reason = distribution.choose("one_device")
    assert strategy.num_replicas_in_sync == 1
    assert not isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 1
    assert reason == "one device, /device:CPU:0"


@ONE_CPU
def test_mirroring_over_one_device_is_an_error_not_a_fall_back():
    with pytest.raises(ValueError) as caught:
        distribution.choose("mirrored")
    assert str(caught.value) == (
        "Strategy 'mirrored' needs at least 2 devices of a kind, found 0 GPU(s) and 1 CPU(s). "
        "Use `strategy: auto` or `one_device`, or, for development, `cpu_devices: 2` (`--cpu-devices 2`)."
    )


def test_logical_devices_that_come_too_late_are_an_error():
    tf.config.list_logical_devices("CPU")  # begins to use it
    with pytest.raises(ValueError) as caught:
        distribution.choose("mirrored", distribution.Devices(cpu_devices=3))
    assert str(caught.value) == (
        "`cpu_devices: 3` comes too late: TensorFlow runs with 1 CPU device(s) already. "
        "Choose the strategy in a process that has computed nothing yet."
    )


def test_unknown_strategy_is_an_error():
    with pytest.raises(ValueError) as caught:
        distribution.choose("parameter_server")
    assert str(caught.value) == (
        "Unknown strategy 'parameter_server'. Expected one of: auto, one_device, mirrored, multi_worker, tpu."
    )


def test_several_workers_without_tf_config_are_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(
        ValueError, match=r"^Strategy 'multi_worker' needs the environment variable TF_CONFIG, .* `--workers 2`"
    ):
        distribution.choose("multi_worker")


def test_one_worker_is_not_several(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1"]}, "worker", 0))
    with pytest.raises(
        ValueError, match=r"needs at least 2 workers, TF_CONFIG names 1 \(a:1\)\. Name the others, or use `strat"
    ):
        distribution.choose("multi_worker")
    assert distribution.choose("auto")[1].startswith("auto: one device, ")


@pytest.mark.parametrize("kind", ["one_device", "mirrored"])
def test_workers_that_would_each_train_a_model_are_an_error(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1", "b:1"]}, "worker", 0))
    with pytest.raises(
        ValueError, match=f"^Strategy '{kind}' trains in one process, but TF_CONFIG names 2 workers, .*unset TF_C"
    ):
        distribution.choose(kind)


class Resolved(tf.distribute.cluster_resolver.TPUClusterResolver):
    """A resolver that has found a TPU that nobody has."""

    def __init__(self, tpu: str):
        self.address = tpu


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list:
    """What TensorFlow is asked for, with a TPU faked from the resolver on."""
    seen: list = []
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", Resolved)
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", lambda r: seen.append(("connect", r.address)))
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", lambda r: seen.append(("initialize", r.address)))

    class Strategy:
        num_replicas_in_sync = 8

        def __init__(self, resolver: Resolved):
            seen.append(("strategy", resolver.address))

    monkeypatch.setattr(tf.distribute, "TPUStrategy", Strategy)
    return seen


def test_tpu_is_connected_initialized_and_taken(calls: list):
    strategy, reason = distribution.choose("tpu", distribution.Devices(tpu="grpc://10.0.0.2:8470"))
    assert calls == [(step, "grpc://10.0.0.2:8470") for step in ("connect", "initialize", "strategy")]
    assert (strategy.num_replicas_in_sync, reason) == (8, "TPU 'grpc://10.0.0.2:8470' of 8 cores")


@pytest.mark.parametrize(
    "failure", [tf.errors.NotFoundError(None, None, "no such device"), ValueError("no name"), OSError("net")]
)
def test_tpu_that_cannot_be_reached_is_an_error(failure: Exception, calls: list, monkeypatch: pytest.MonkeyPatch):
    def fail(resolver: Resolved) -> None:
        raise failure

    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", fail)
    with pytest.raises(ValueError, match=r"^Strategy 'tpu' found no TPU 'local': .* Without a TPU use `strategy: auto`\.$"):
        distribution.choose("tpu")
    assert calls == []


def test_machine_without_a_tpu_is_an_error():
    """Go through TensorFlow's own resolver, in a process of its own: connecting changes it."""
    code = "from models import distribution; distribution.choose('tpu')"
    done = in_a_process(["-c", code])
    assert done.returncode == 1
    assert "ValueError: Strategy 'tpu' found no TPU 'local': NotFoundError: " in done.stderr
