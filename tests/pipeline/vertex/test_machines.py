"""Machines, worker pools and the strategies that fit them: every mistake is told before anything is rented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import aiplatform_v1
from vertex_runtimes import RUNTIME

from pipeline.errors import ConfigError
from pipeline.vertex.catalogue import accelerators, machine_types
from pipeline.vertex.machines import Machine
from pipeline.vertex.pools import Training
from pipeline.vertex.runtime import VertexRuntime, load_runtime

T4 = {"machine_type": "n1-standard-8", "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 2}}
ONE_T4 = {"machine_type": "n1-standard-8", "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 1}}
CPU = {"machine_type": "e2-standard-4"}
TPU = {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x2"}


def load(folder: Path, **changes: Any) -> VertexRuntime:
    file = folder / "runtime.yaml"
    file.write_text(yaml.safe_dump({**RUNTIME, **changes}))
    return load_runtime(file)


def mistake(folder: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, **changes)
    return str(caught.value)


def test_every_accelerator_of_the_catalogue_is_one_of_the_api() -> None:
    assert set(accelerators()) <= set(aiplatform_v1.AcceleratorType.__members__)


def test_shapes_follow_from_names() -> None:
    shapes = machine_types()
    assert (shapes["e2-standard-4"].cpus, shapes["e2-standard-4"].memory_gb) == (4, 16)
    assert shapes["n1-highmem-8"].memory_gb == 52
    assert shapes["a2-highgpu-4g"].num_accelerators == 4


def test_built_in_accelerators_need_not_be_named() -> None:
    assert Machine(machine_type="g2-standard-24").spec() == {
        "machineType": "g2-standard-24",
        "acceleratorType": "NVIDIA_L4",
        "acceleratorCount": 2,
    }


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"machine_type": "n1-standart-8"}, "unknown machine type 'n1-standart-8'. Did you mean 'n1-standard-8'?"),
        (
            T4 | {"accelerator": {"type": "NVIDIA_TESLA_T5"}},
            "unknown accelerator 'NVIDIA_TESLA_T5'. Did you mean 'NVIDIA_TESLA_T4'?",
        ),
        (
            T4 | {"accelerator": {"type": "NVIDIA_TESLA_T4", "count": 3}},
            "expected 1, 2, 4 x NVIDIA_TESLA_T4 on a machine, found 3.",
        ),
        (T4 | {"machine_type": "e2-standard-4"}, "no accelerator can be attached to e2-standard-4. Use an n1 machine"),
        (
            T4 | {"accelerator": {"type": "NVIDIA_L4"}},
            "NVIDIA_L4 cannot be attached to n1-standard-8. It is part of g2-standard-4",
        ),
        (
            {"machine_type": "g2-standard-24", "accelerator": {"type": "NVIDIA_L4", "count": 1}},
            "has 2 x NVIDIA_L4 built in, found 1",
        ),
        (TPU | {"tpu_topology": "2x4"}, "expected one of 4 chip(s), which ct5lp-hightpu-4t has, found '2x4' of 8."),
        ({"machine_type": "ct5lp-hightpu-4t"}, "expected one of 4 chip(s), which ct5lp-hightpu-4t has, found none."),
        (CPU | {"tpu_topology": "2x2"}, "tpu_topology is of TPU VMs such as ct5lp-hightpu-4t; e2-standard-4 is none."),
        (TPU | {"accelerator": {"type": "NVIDIA_TESLA_T4"}}, "is a TPU VM and takes no NVIDIA_TESLA_T4."),
    ],
)
def test_machine_that_nobody_rents_is_refused(tmp_path: Path, machine: dict, said: str) -> None:
    assert said in mistake(tmp_path, accelerators="gpu", stages={"Trainer": machine})


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"chief": T4, "workers": ONE_T4 | {"count": 2}}, "the chief has 2 GPU(s), each worker 1"),
        ({"chief": TPU, "workers": CPU | {"count": 2}}, "a TPU VM trains alone."),
        ({"chief": CPU, "workers": TPU | {"count": 2}}, "workers cannot be TPU VMs."),
        ({"chief": T4, "reduction_server": {"count": 2}}, "reduction_server is for several machines with GPUs."),
        ({"chief": TPU, "evaluator": {"machine_type": "n1-standard-4"}}, "a TPU VM trains alone."),
        ({"chief": T4, "evaluator": TPU}, "the evaluator cannot be a TPU VM."),
        ({"chief": T4, "spot": True, "restart": False}, "spot machines get lost: set `restart: true`"),
        ({"chief": T4, "workers": T4 | {"count": 0}}, "input should be greater than or equal to 1, found 0"),
    ],
)
def test_worker_pools_that_cannot_train_together_are_refused(tmp_path: Path, training: dict, said: str) -> None:
    assert said in mistake(tmp_path, accelerators="gpu", training=training)


@pytest.mark.parametrize(
    ("changes", "strategy"),
    [
        ({}, "auto"),
        ({"stages": {"Trainer": CPU}}, "one_device"),
        ({"stages": {"Trainer": T4}, "accelerators": "gpu"}, "mirrored"),
        ({"stages": {"Trainer": T4}, "accelerators": "gpu", "strategy": "one_device"}, "one_device"),
        ({"training": {"chief": ONE_T4}, "accelerators": "gpu"}, "one_device"),
        ({"training": {"chief": T4}, "accelerators": "gpu"}, "mirrored"),
        ({"training": {"chief": CPU, "workers": CPU | {"count": 2}}}, "multi_worker"),
        ({"training": {"chief": TPU}, "accelerators": "tpu"}, "tpu"),
    ],
)
def test_strategy_follows_from_the_machines(tmp_path: Path, changes: dict, strategy: str) -> None:
    assert load(tmp_path, **changes).training_strategy == strategy


@pytest.mark.parametrize("asked", ["mirrored", "multi_worker", "tpu"])
def test_strategy_that_does_not_fit_is_refused(tmp_path: Path, asked: str) -> None:
    said = mistake(tmp_path, strategy=asked, stages={"Trainer": CPU})
    assert f"strategy: '{asked}' does not fit 1 machine(s), the first of them e2-standard-4: there it is 'one_device'." in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": {"Trainer": T4}}, "`accelerators: cpu` says that the image cannot use them"),
        (
            {"training": {"chief": TPU}, "accelerators": "gpu"},
            "a TPU VM needs an image with TensorFlow for TPUs; `accelerators: gpu`",
        ),
        (
            {"stages": {"Trainer": CPU}, "training": {"chief": CPU}},
            "the Trainer's machines are in `training` and in `stages: Trainer`.",
        ),
        ({"network": {}}, "expected `name` (a peered VPC) or `psc_attachment`, one of the two."),
        ({"network": {"name": "projects/my-project/global/networks/vpc"}}, "network.name: string should match pattern"),
        ({"dataflow": {"public_ips": False}}, "public_ips: false needs a `subnetwork` with Private Google Access; name it."),
        ({"dataflow": {"num_workers": 9}}, "num_workers is 9, more than max_workers, 4."),
        (
            {"tensorboard": "projects/p/locations/us-central1/tensorboards/1"},
            "tensorboard is in us-central1, the pipeline runs in europe-west4.",
        ),
        ({"labels": {"Team": "x"}}, "labels"),
        ({"service_account": "me@example.com"}, "service_account: string should match pattern"),
        (
            {"serving": {"model": "taxi", "endpoint": {"name": "t", "min_replicas": 3}}},
            "min_replicas is 3, more than max_replicas, 1.",
        ),
        ({"failure_policy": "quick"}, "failure_policy"),
    ],
)
def test_runtime_that_cannot_work_is_refused(tmp_path: Path, changes: dict, said: str) -> None:
    assert said in mistake(tmp_path, **changes)


def test_worker_pools_are_in_the_order_that_vertex_wants() -> None:
    training = Training.model_validate(
        {"chief": T4 | {"disk": {"size_gb": 200}}, "workers": T4 | {"count": 3}, "reduction_server": {"count": 4}, "spot": True}
    )
    chief, workers, servers = training.worker_pools({"imageUri": "image", "command": []})
    assert (chief["replicaCount"], workers["replicaCount"], servers["replicaCount"]) == (1, 3, 4)
    assert chief["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200}
    assert servers["containerSpec"]["imageUri"].endswith("/reductionserver:latest")
    assert "command" not in servers["containerSpec"]
    assert training.scheduling() == {"restartJobOnWorkerRestart": True, "strategy": "SPOT"}
    assert training.num_replicas == 8
