"""What of a job is looked at and not rehearsed: machines, accelerators, workers, accounts, networks, keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipeline.vertex.rehearsal.adapting import beam_args_in, containers_in
from pipeline.vertex.rehearsal.beam_options import on_dataflow
from pipeline.vertex.rehearsal.job import Json

_OF_WORKERS = ("worker", "disk", "subnetwork", "public_ips")


def only_checked(job: Json) -> dict[str, str]:
    """Return {what: as the job has it} of everything that this machine cannot prove."""
    found: dict[str, str] = {}
    for value, stages in _machines(job).items():
        found[f"machine of {', '.join(stages)}"] = value
    found |= _services(job)
    images = sorted({container.get("image", "") for _, container in containers_in(job)})
    found["image"] = ", ".join(images)
    for what, value in (
        ("service account", job.get("serviceAccount")),
        ("network", job.get("network") or _network(job.get("pscInterfaceConfig"))),
        ("encryption key", job.get("encryptionSpec", {}).get("kmsKeyName")),
    ):
        if value:
            found[what] = value
    return found


def _network(interface: Json | None) -> str | None:
    return interface.get("networkAttachment") if interface else None


def _machines(job: Json) -> dict[str, list[str]]:
    """Return {machine: the stages that run on one}."""
    stages: dict[str, list[str]] = {}
    for stage, container in containers_in(job):
        if "--request" not in container.get("args", []) and (resources := container.get("resources")):
            stages.setdefault(_resources(resources), []).append(stage)
    return stages


def _services(job: Json) -> Iterator[tuple[str, str]]:
    """Give custom jobs, and the workers of Dataflow, which all stages have in common."""
    workers = set()
    for stage, container in containers_in(job):
        args = container.get("args", [])
        if "--request" in args:
            yield f"custom job of {stage}", _pools(json.loads(args[args.index("--request") + 1]))
        if on_dataflow(beam := beam_args_in(args)):
            workers.add(" ".join(arg for arg in beam if any(word in arg for word in _OF_WORKERS)))
    if workers:
        yield "Dataflow", "; ".join(sorted(workers))


def _resources(resources: Json) -> str:
    text = f"{resources.get('cpuLimit', 0):g} CPUs, {resources.get('memoryLimit', 0):g} GB"
    accelerator = resources.get("accelerator")
    return f"{text}, {accelerator['count']} x {accelerator['type']}" if accelerator else text


def _pools(request: Json) -> str:
    pools: list[dict[str, Any]] = request.get("jobSpec", {}).get("workerPoolSpecs", [])
    return "; ".join(f"{pool.get('replicaCount', 1)} x {_machine(pool.get('machineSpec', {}))}" for pool in pools if pool)


def _machine(machine: Json) -> str:
    text = machine.get("machineType", "?")
    if machine.get("acceleratorType"):
        text += f" + {machine.get('acceleratorCount', 1)} x {machine['acceleratorType']}"
    return text
