"""Training: the worker pools of a Vertex AI custom job, and the tf.distribute strategy that fits them."""

from __future__ import annotations

from typing import Any

import pydantic

from models.distribution import Kind
from pipeline.vertex.machines import Machine

_SERVER_IMAGE = "us-docker.pkg.dev/vertex-ai-restricted/training/reductionserver:latest"
# https://cloud.google.com/vertex-ai/docs/training/distributed-training: worker pools by their role.
_EVALUATOR_PLACE = 3


class Workers(Machine):
    """Machines beside the chief."""

    count: int = pydantic.Field(1, ge=1)


class ReductionServer(pydantic.BaseModel):
    """Google's servers that add up gradients for workers with GPUs. They need no GPUs themselves."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    count: int = pydantic.Field(..., ge=1)
    machine_type: str = "n1-highcpu-16"
    image: str = pydantic.Field(_SERVER_IMAGE, description="Google's own; it is no step of the pipeline.")

    @pydantic.field_validator("machine_type")
    @classmethod
    def _known(cls, name: str) -> str:
        return Machine(machine_type=name).machine_type

    @property
    def machine(self) -> Machine:
        """What each of them runs on."""
        return Machine(machine_type=self.machine_type)


class Training(pydantic.BaseModel):
    """Machines that the Trainer runs on as a custom job."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    chief: Machine
    workers: Workers | None = None
    reduction_server: ReductionServer | None = None
    evaluator: Machine | None = pydantic.Field(
        None, description="Measures the config's metrics of each checkpoint, beside the others."
    )
    spot: bool = pydantic.Field(False, description="Spot machines: cheaper, and taken away at any time.")
    restart: bool = pydantic.Field(True, description="Start all workers again when one is lost; they go on after a checkpoint.")
    timeout_hours: float | None = pydantic.Field(None, gt=0)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Training:
        if self.chief.is_tpu and (self.workers or self.reduction_server or self.evaluator):
            raise ValueError(
                "a TPU VM trains alone. Leave `workers`, `reduction_server` and `evaluator` out, or use machines with GPUs."
            )
        if self.evaluator and self.evaluator.is_tpu:
            raise ValueError("the evaluator cannot be a TPU VM. Name a machine with CPUs or a GPU.")
        if self.workers and self.workers.is_tpu:
            raise ValueError("workers cannot be TPU VMs. Name the TPU VM as `chief`.")
        if self.workers and self.workers.num_gpus != self.chief.num_gpus:
            raise ValueError(
                f"the chief has {self.chief.num_gpus} GPU(s), each worker {self.workers.num_gpus}: MultiWorkerMirroredStrategy "
                "wants the same number everywhere."
            )
        if self.reduction_server and not (self.workers and self.chief.num_gpus):
            raise ValueError("reduction_server is for several machines with GPUs. Leave it out.")
        if self.spot and not self.restart:
            raise ValueError("spot machines get lost: set `restart: true`, or `spot: false`.")
        return self

    @property
    def num_machines(self) -> int:
        """Those that train."""
        return 1 + (self.workers.count if self.workers else 0)

    @property
    def num_replicas(self) -> int:
        """Replicas of the model: GPUs or TPU chips of all machines, or the machines where there are none."""
        return self.num_machines * max(
            1, self.chief.num_gpus or (self.chief.shape.num_accelerators if self.chief.is_tpu else 1)
        )

    def rented(self) -> list[tuple[str, int, str]]:
        """Return (role, number of machines, what each is)."""
        rented = [("chief", 1, self.chief.text)]
        if self.workers:
            rented.append(("worker", self.workers.count, self.workers.text))
        if self.reduction_server:
            rented.append(("reduction server", self.reduction_server.count, self.reduction_server.machine_type))
        if self.evaluator:
            rented.append(("evaluator", 1, self.evaluator.text))
        return rented

    def worker_pools(self, container: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the WorkerPoolSpecs of a CustomJob in their REST form: chief, workers, reduction servers, evaluator.

        Their places are their roles, so that one which is left out has an empty pool if another one follows.

        Args:
          container: ContainerSpec of all but the reduction servers.
        """
        pools = [_pool(self.chief, 1, container)]
        if self.workers:
            pools.append(_pool(self.workers, self.workers.count, container))
        if server := self.reduction_server:
            machine = {"machineSpec": {"machineType": server.machine_type}, "replicaCount": server.count}
            pools.append(machine | {"containerSpec": {"imageUri": server.image}})
        if self.evaluator:
            pools += [{} for _ in range(_EVALUATOR_PLACE - len(pools))]
            pools.append(_pool(self.evaluator, 1, container))
        return pools

    def scheduling(self) -> dict[str, Any]:
        """Return the Scheduling of a CustomJob."""
        scheduling: dict[str, Any] = {"restartJobOnWorkerRestart": self.restart and (self.spot or self.num_machines > 1)}
        if self.spot:
            scheduling["strategy"] = "SPOT"
        if self.timeout_hours:
            scheduling["timeout"] = f"{round(3600 * self.timeout_hours)}s"
        return scheduling


def fitting_strategy(asked: Kind, training: Training | None, machine: Machine | None) -> Kind:
    """Return the strategy that fits what the Trainer runs on.

    Args:
      asked: by the runtime file.
      training: its worker pools, if it has them.
      machine: that of the stage otherwise.

    Raises:
      ValueError: what was asked for cannot run there.
    """
    chief = training.chief if training else machine
    num_machines = training.num_machines if training else 1
    fitting: Kind = "auto"
    if chief and chief.is_tpu:
        fitting = "tpu"
    elif num_machines > 1:
        fitting = "multi_worker"
    elif chief and chief.num_gpus > 1:
        fitting = "mirrored"
    elif chief:
        fitting = "one_device"
    if asked in ("auto", fitting):
        return fitting
    place = f"{num_machines} machine(s), the first of them {chief.text if chief else 'without accelerators'}"
    if asked == "one_device" and fitting == "mirrored":
        return asked  # somebody measures what one GPU of several does
    raise ValueError(
        f"strategy: '{asked}' does not fit {place}: there it is '{fitting}'. Leave it out, or change the machines."
    )


def _pool(machine: Machine, count: int, container: dict[str, Any]) -> dict[str, Any]:
    pool: dict[str, Any] = {"machineSpec": machine.spec(), "replicaCount": count, "containerSpec": container}
    if machine.disk:
        pool["diskSpec"] = {"bootDiskType": machine.disk.type, "bootDiskSizeGb": machine.disk.size_gb}
    return pool
