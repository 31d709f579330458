"""What of a job is looked at and not rehearsed: machines, accelerators, workers, accounts, networks, keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipeline.vertex.rehearsal.adapting import beam_args_in, containers_in
from pipeline.vertex.rehearsal.beam_options import on_dataflow
from pipeline.vertex.rehearsal.job import Json

_TUNING_JOB = "--tuning_job="
_OF_WORKERS = ("worker", "disk", "subnetwork", "public_ips")


def only_checked(job: Json) -> dict[str, str]:
    """Return {what: as the job has it} of everything that this machine cannot prove."""
    found: dict[str, str] = {}
    for machine, stages in _machines(job).items():
        found[f"machine of {', '.join(stages)}"] = machine
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
            request = json.loads(args[args.index("--request") + 1])
            yield f"custom job of {stage}", _pools(request.get("jobSpec", {}))
        for arg in args:
            if arg.startswith(_TUNING_JOB):
                request = json.loads(arg.removeprefix(_TUNING_JOB))
                yield f"each trial of {stage}", _pools(request.get("trialJobSpec", {}))
        if on_dataflow(beam := beam_args_in(args)):
            workers.add(" ".join(arg for arg in beam if any(word in arg for word in _OF_WORKERS)))
    if workers:
        yield "Dataflow", "; ".join(sorted(workers))


def _resources(resources: Json) -> str:
    text = f"{resources.get('cpuLimit', 0):g} CPUs, {resources.get('memoryLimit', 0):g} GB"
    accelerator = resources.get("accelerator")
    return f"{text}, {accelerator['count']} x {accelerator['type']}" if accelerator else text


def _pools(spec: Json) -> str:
    """Return the worker pools of a CustomJobSpec."""
    pools: list[dict[str, Any]] = spec.get("workerPoolSpecs", [])
    return "; ".join(f"{pool.get('replicaCount', 1)} x {_machine(pool.get('machineSpec', {}))}" for pool in pools if pool)


def _machine(machine: Json) -> str:
    text = machine.get("machineType", "?")
    if machine.get("acceleratorType"):
        text += f" + {machine.get('acceleratorCount', 1)} x {machine['acceleratorType']}"
    return text
