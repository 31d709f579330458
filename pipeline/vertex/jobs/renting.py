"""What a job would rent: machines, accelerators and workers, before anybody pays for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.vertex.runtime import VertexRuntime

_SMALLEST = "e2-standard-4 (Vertex AI's default)"


class Rented(NamedTuple):
    """A kind of machine that something rents."""

    what: str
    number: str
    machine: str


def rented(job: dict[str, Any], config: PipelineConfig, runtime: VertexRuntime) -> list[Rented]:
    """Return what a job rents: for each stage by its name, then what stages rent besides."""
    rows: list[Rented] = []
    for label, executor in sorted(job["pipelineSpec"]["deploymentSpec"]["executors"].items()):
        if "container" in executor:
            rows.append(Rented(label.removesuffix("_executor"), "1", _machine(executor["container"].get("resources"))))
    if pools := runtime.training:
        spot = ", spot" if pools.spot else ""
        rows += [Rented(f"Trainer: {role}", str(count), f"{machine}{spot}") for role, count, machine in pools.rented()]
    if config.tuner and config.tuner.reuse != "latest" and runtime.tuning.service == "vizier":
        trials, parallel = config.tuner.budget.trials, runtime.tuning.parallel_trials
        spot = ", spot" if runtime.tuning.spot else ""
        rows.append(Rented(f"Tuner: {trials} trials", f"{parallel} at a time", f"{runtime.tuning.trial.text}{spot}"))
    if flow := runtime.dataflow:
        rows.append(
            Rented("Dataflow, each stage on Beam", f"up to {flow.max_workers}", f"{flow.machine_type}, {flow.disk_size_gb} GB")
        )
    if runtime.serving and (endpoint := runtime.serving.endpoint):
        count = f"{endpoint.min_replicas} to {endpoint.max_replicas}"
        rows.append(Rented("endpoint, once deployed, until undeployed", count, endpoint.text))
    return rows


def _machine(resources: dict[str, Any] | None) -> str:
    if not resources:
        return _SMALLEST
    accelerator = resources.get("accelerator")
    extra = f" + {accelerator['count']} x {accelerator['type']}" if accelerator else ""
    return f"{resources['cpuLimit']:g} CPUs, {resources['memoryLimit']:g} GB{extra}"
