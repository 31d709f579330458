"""Quota of Vertex AI's training for the machines that a job rents at the same time.

Compute Engine's quotas are other ones, and do not count here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.doctor.cloud import Answer, member, unreachable_is_told
from pipeline.doctor.demand import certain_demand, demand
from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.doctor.quota_metrics import CONFIRMED, SERVICE, metric_of

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_UNLIMITED = -1


@unreachable_is_told("quota")
def check_quota(subject: Subject) -> Iterator[Finding]:
    """Ask the Service Usage API for the limit of each kind of device."""
    runtime, config = subject.vertex, subject.config_or_none()
    certain = certain_demand(runtime, config)
    for device, wanted in sorted(demand(runtime, config).items()):
        url = (
            f"{subject.endpoints.service_usage}/v1beta1/projects/{runtime.project}/services/{SERVICE}"
            f"/consumerQuotaMetrics/{quote(metric_of(device), safe='')}"
        )
        answer = subject.cloud.ask("GET", url, [("view", "BASIC")])
        limit = limit_in(answer.document, runtime.region) if answer.status == 200 else None
        if limit is None:
            yield _untold(subject, device, answer)
        else:
            yield _judge(subject, device, limit, wanted, certain.get(device, 0))


def _judge(subject: Subject, device: str, limit: int, wanted: int, certain: int) -> Finding:
    region = subject.vertex.region
    unconfirmed = "" if device in CONFIRMED else "; that this metric counts them is not confirmed by any page of Google's"
    if limit == _UNLIMITED or limit >= wanted:
        allows = "any number" if limit == _UNLIMITED else str(limit)
        return ok("quota", f"{region} allows {allows} of {device}, a job needs {wanted} at a time{unconfirmed}")
    cure = f"Ask for more of {metric_of(device)} at {_page(subject)}; or name smaller or fewer machines, or another region."
    found = f"{region} allows {limit} of {device}, a job needs {wanted} at a time{unconfirmed}."
    if limit < certain:
        return problem("quota", found, cure)
    return warning(
        "quota",
        f"{found} A task asks for CPUs and memory, so that Vertex AI may give it a machine of another family.",
        f"{cure} Machines of N1 and E2 share the metric cpus.",
    )


def _untold(subject: Subject, device: str, answer: Answer) -> Finding:
    project, metric = subject.vertex.project, metric_of(device)
    why = answer.message if answer.status != 200 else f"it has no limit for {subject.vertex.region}"
    cure = f"Look at {_page(subject)}."
    if answer.is_denied:
        cure += (
            " Or have somebody grant serviceusage.quotas.get: gcloud projects add-iam-policy-binding "
            f"{project} --member={member(subject.cloud.account)} --role=roles/serviceusage.serviceUsageViewer"
        )
    if device not in CONFIRMED and answer.status != 403:
        return warning(
            "quota", f"Not checked: the quota of {device}. The name {metric} is not confirmed by any page; {why}.", cure
        )
    return warning("quota", f"The quota {metric} cannot be told: {why}.", answer.cure(cure))


def _page(subject: Subject) -> str:
    return f"https://console.cloud.google.com/iam-admin/quotas?project={subject.vertex.project}"


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
            dimensions = bucket.get("dimensions") or {}
            value = int(bucket.get("effectiveLimit", 0))  # the API leaves a zero out
            if dimensions == {"region": region}:
                return value
            if not dimensions:
                everywhere = value
    return everywhere
