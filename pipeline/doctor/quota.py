"""Quota of Vertex AI's training for the machines that a job rents at the same time.

Tasks of a pipeline, custom jobs and trials all count as custom training. The names of its metrics, as the service's own
messages of exceeded quota have them: custom_model_training_cpus, custom_model_training_nvidia_t4_gpus, and with
`preemptible_` before the device for spot machines. Compute Engine's quotas are other ones, and do not count here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.doctor.cloud import unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject
    from pipeline.vertex.machines import Machine
    from pipeline.vertex.runtime import VertexRuntime

_SERVICE = "aiplatform.googleapis.com"
_UNLIMITED = -1
_TPUS = {"ct5lp": "tpu_v5e", "ct6e": "tpu_v6e"}


@unreachable_is_told("quota")
def check_quota(subject: Subject) -> Iterator[Finding]:
    """Ask the Service Usage API for the limit of each kind of device."""
    runtime = subject.vertex
    page = f"https://console.cloud.google.com/iam-admin/quotas?project={runtime.project}"
    for device, wanted in sorted(demand(runtime).items()):
        metric = f"{_SERVICE}/custom_model_training_{device}"
        url = (
            f"{subject.endpoints.service_usage}/v1beta1/projects/{runtime.project}/services/{_SERVICE}"
            f"/consumerQuotaMetrics/{quote(metric, safe='')}"
        )
        answer = subject.cloud.ask("GET", url, [("view", "BASIC")])
        limit = limit_in(answer.document, runtime.region) if answer.status == 200 else None
        if limit is None:
            why = answer.message if answer.status != 200 else f"it has no limit for {runtime.region}"
            yield warning("quota", f"The quota {metric} cannot be told: {why}.", f"Look at {page}.")
        elif limit != _UNLIMITED and limit < wanted:
            yield problem(
                "quota",
                f"{runtime.region} allows {limit} of {device}, a job needs {wanted} at a time.",
                f"Ask for more of {metric} at {page}; or name smaller or fewer machines, or another region.",
            )
        else:
            allows = "any number" if limit == _UNLIMITED else str(limit)
            yield ok("quota", f"{runtime.region} allows {allows} of {device}, a job needs {wanted} at a time")


def demand(runtime: VertexRuntime) -> Mapping[str, int]:
    """Return {device: how many the hungriest part of a job rents at the same time}.

    Parts are each stage's own machine, all worker pools of the training together, and all trials that run side by side.
    """
    most: Counter[str] = Counter()
    for part in _parts(runtime):
        most |= part  # the larger of both, for each device
    return most


def _parts(runtime: VertexRuntime) -> Iterator[Counter[str]]:
    for machine in runtime.stages.values():
        yield _devices(machine, 1, False)
    if pools := runtime.training:
        together = _devices(pools.chief, 1, pools.spot)
        if pools.workers:
            together += _devices(pools.workers, pools.workers.count, pools.spot)
        if pools.evaluator:
            together += _devices(pools.evaluator, 1, pools.spot)
        yield together
    if runtime.tuning.service == "vizier":
        yield _devices(runtime.tuning.trial, runtime.tuning.parallel_trials, runtime.tuning.spot)


def _devices(machine: Machine, count: int, spot: bool) -> Counter[str]:
    prefix = "preemptible_" if spot else ""
    devices = Counter({f"{prefix}cpus": count * machine.shape.cpus})
    if machine.is_tpu:
        kind = _TPUS.get(machine.machine_type.partition("-")[0], "tpu")
        devices[f"{prefix}{kind}"] = count * machine.shape.num_accelerators
    elif machine.accelerator:
        kind = machine.accelerator.type.lower().replace("tesla_", "")
        devices[f"{prefix}{kind}_gpus"] = count * machine.accelerator.count
    return devices


def limit_in(metric: Mapping[str, Any], region: str) -> int | None:
    """Return the limit that a metric has in a region, -1 for none at all; None where nothing is said of it.

    Args:
      metric: ConsumerQuotaMetric of the Service Usage API.
      region: such as europe-west4.
    """
    everywhere: int | None = None
    for limit in metric.get("consumerQuotaLimits", ()):
        if not str(limit.get("unit", "")).endswith("/{region}"):
            continue
        for bucket in limit.get("quotaBuckets", ()):
            place = bucket.get("dimensions", {}).get("region")
            value = int(bucket.get("effectiveLimit", 0))
            if place == region:
                return value
            if place is None:
                everywhere = value
    return everywhere
