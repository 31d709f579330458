"""What a job rents of Vertex AI's training at the same time, by device as quota counts it.

Tasks of a pipeline, custom jobs and trials all count as custom training. Tasks that only wait for a job of theirs are left out:
the smallest machine is enough for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipeline.doctor.quota_metrics import ACCELERATORS, CPUS, family_of

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.vertex.machines import Machine
    from pipeline.vertex.runtime import VertexRuntime

# What a task gets that names no machine: https://cloud.google.com/vertex-ai/docs/pipelines/machine-types
_OF_TASKS_WITHOUT_MACHINE = Counter({"cpus": 4})
_USUAL_CPUS = "cpus"


def demand(runtime: VertexRuntime, config: PipelineConfig | None = None) -> Mapping[str, int]:
    """Return {device: how many the hungriest part of a job rents at the same time}.

    Parts are each stage's own machine, all worker pools of the training together, and all trials that run side by side.

    Args:
      runtime: where it runs.
      config: says how many trials there are, if any; without it the runtime file is taken at its word.
    """
    return _most([*_tasks(runtime), *_jobs(runtime, config)])


def certain_demand(runtime: VertexRuntime, config: PipelineConfig | None = None) -> Mapping[str, int]:
    """Return the part of the demand that Vertex AI cannot meet with a machine of another family.

    A task asks for CPUs and memory, not for a type of machine: Vertex AI chooses one (pipeline.vertex.finishing). Which family
    that is of is certain where GPUs come with it, and for the families that share one metric.
    """
    return _most([*(devices for devices in _tasks(runtime) if not _is_open(devices)), *_jobs(runtime, config)])


def _most(parts: list[Counter[str]]) -> Counter[str]:
    most: Counter[str] = Counter()
    for part in parts:
        most |= part  # the larger of both, for each device
    return most


def _is_open(devices: Counter[str]) -> bool:
    return len(devices) == 1 and _USUAL_CPUS not in devices


def _tasks(runtime: VertexRuntime) -> Iterator[Counter[str]]:
    """Give what each task rents that does its work itself."""
    from pipeline.artifacts import TUNER
    from pipeline.vertex.runtime import DEFAULT_STAGE

    for stage, machine in runtime.stages.items():
        is_waiting = stage == TUNER and runtime.tuning.service == "vizier"
        if not (is_waiting or _is_job(machine)):
            yield _devices(machine)
    if DEFAULT_STAGE not in runtime.stages:
        yield _OF_TASKS_WITHOUT_MACHINE


def _jobs(runtime: VertexRuntime, config: PipelineConfig | None) -> Iterator[Counter[str]]:
    """Give what each custom job rents, and the jobs of a search together."""
    for machine in runtime.stages.values():
        if _is_job(machine):
            yield _devices(machine)
    if pools := runtime.training:
        together = _devices(pools.chief, 1, pools.spot)
        if pools.workers:
            together += _devices(pools.workers, pools.workers.count, pools.spot)
        if servers := pools.reduction_server:
            together += _devices(servers.machine, servers.count, pools.spot)
        if pools.evaluator:
            together += _devices(pools.evaluator, 1, pools.spot)
        yield together
    if num_trials := _trials_at_a_time(runtime, config):
        yield _devices(runtime.tuning.trial, num_trials, runtime.tuning.spot)


def _is_job(machine: Machine) -> bool:
    return machine.disk is not None or machine.is_tpu


def _trials_at_a_time(runtime: VertexRuntime, config: PipelineConfig | None) -> int:
    """Return how many trials Vertex AI runs side by side: those of the search, and the one of the config's own values."""
    if runtime.tuning.service != "vizier":
        return 0
    parallel = runtime.tuning.parallel_trials
    if config is None:
        return parallel + 1
    if config.tuner is None or config.tuner.reuse == "latest":  # nothing is searched
        return 0
    if config.tuner.workers != "auto":
        parallel = config.tuner.workers
    return min(parallel, config.tuner.budget.trials or parallel) + 1


def _devices(machine: Machine, count: int = 1, spot: bool = False) -> Counter[str]:
    """Return {device: how many} of some equal machines. A TPU VM is counted by its chips alone, any other by its CPUs too."""
    prefix = "preemptible_" if spot else ""
    shape = machine.shape
    if machine.is_tpu:
        return Counter({f"{prefix}{ACCELERATORS[str(shape.accelerator)]}": count * shape.num_accelerators})
    devices = Counter({f"{prefix}{CPUS[family_of(machine.machine_type)]}": count * shape.cpus})
    if machine.accelerator:
        devices[f"{prefix}{ACCELERATORS[machine.accelerator.type]}"] = count * machine.accelerator.count
    return devices
