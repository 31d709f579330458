"""Terraform's services: APIs are enabled, the bucket is kept and closed, the function hears and decides as described."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from terraform_files import FOLDERS, MODULE, ROOTS, bare, rights

# Which APIs a resource needs, by how its kind begins; the longest beginning counts.
APIS = {
    "google_artifact_registry": {"artifactregistry"},
    "google_cloud_run": {"run"},
    "google_cloud_scheduler": {"cloudscheduler"},
    "google_cloudfunctions2": {"cloudfunctions", "cloudbuild", "artifactregistry", "run"},
    "google_eventarc": {"eventarc", "pubsub"},
    "google_iam_workload_identity": {"iam", "iamcredentials", "sts"},
    "google_kms": {"cloudkms"},
    "google_monitoring": {"monitoring", "logging"},
    "google_project_iam": {"cloudresourcemanager"},
    "google_project_service": set(),
    "google_pubsub": {"pubsub"},
    "google_service_account": {"iam"},
    "google_storage": {"storage"},
    "google_vertex_ai": {"aiplatform"},
}
# Roles are for APIs of their own names. Dataflow's workers are machines of Compute Engine.
APIS_OF_ROLES = {"dataflow": {"dataflow", "compute"}}
# By which Terraform looks a project up, and enables the others.
TERRAFORMS_OWN = {"cloudresourcemanager", "serviceusage"}


def needed(parsed: Any, folder: str) -> set[str]:
    """Return the APIs that a root needs, with its module."""
    found: set[str] = set()
    for part in (folder, MODULE):
        for address in parsed[part]["resource"]:
            found |= APIS[max((start for start in APIS if address.startswith(start)), key=len)]
        for right in rights(parsed[part]):
            service = right.role.removeprefix("roles/").partition(".")[0]
            found |= APIS_OF_ROLES.get(service, {service})
    return found


def services(resource: Any) -> set[str]:
    return set(re.findall(r'"([a-z]+)\.googleapis\.com"', resource["for_each"]))


@pytest.mark.parametrize("folder", ROOTS)
def test_every_api_that_is_used_is_enabled_and_no_other(folder: str, parsed: Any) -> None:
    enabled, asked = services(parsed[folder]["resource"]["google_project_service.apis"]), needed(parsed, folder)
    assert asked <= enabled
    assert enabled <= asked | TERRAFORMS_OWN


def test_agents_are_of_services_that_are_enabled(parsed: Any) -> None:
    resources = parsed["environment"]["resource"]
    agents = services(resources["google_project_service_identity.agents"])
    assert agents == {"aiplatform", "dataflow", "eventarc"}
    assert agents <= services(resources["google_project_service.apis"])


@pytest.mark.parametrize("folder", ROOTS)
def test_what_begins_in_a_project_waits_for_its_apis(folder: str, parsed: Any) -> None:
    """The rest refers to one of these."""
    begun = (
        "google_artifact_registry_repository.", "google_cloud_scheduler", "google_cloudfunctions2", "google_monitoring",
        "google_pubsub_topic.", "google_service_account.", "google_storage_bucket.", "google_vertex_ai",
    )  # fmt: skip
    waiting = {address: body for address, body in parsed[folder]["resource"].items() if address.startswith(begun)}
    assert waiting
    for address, body in waiting.items():
        assert "google_project_service.apis" in {bare(each) for each in body["depends_on"]}, address


def test_buckets_keep_versions_and_are_nobody_elses(parsed: Any) -> None:
    resources = {address: body for folder in FOLDERS for address, body in parsed[folder]["resource"].items()}
    buckets = {address: body for address, body in resources.items() if address.startswith("google_storage_bucket.")}
    assert set(buckets) == {"google_storage_bucket.pipelines"}
    for bucket in buckets.values():
        assert bucket["public_access_prevention"] == "enforced"
        assert (bucket["uniform_bucket_level_access"], bucket["force_destroy"]) == (True, False)
        assert [each["enabled"] for each in bucket["versioning"]] == [True]
        assert [each["prevent_destroy"] for each in bucket["lifecycle"]] == [True]


def test_only_scratch_files_and_old_versions_are_deleted(parsed: Any) -> None:
    rules = parsed["environment"]["resource"]["google_storage_bucket.pipelines"]["lifecycle_rule"]
    deleting = [rule["condition"][0] for rule in rules if rule["action"][0]["type"] == "Delete"]
    kinds = {(condition["with_state"], tuple(condition.get("matches_prefix", ()))) for condition in deleting}
    assert kinds == {("LIVE", ("dataflow/",)), ("ARCHIVED", ("dataflow/",)), ("ARCHIVED", ())}


def test_alerts_tell_what_fails_a_job(terraform: Path) -> None:
    text = (terraform / "environment" / "alerts.tf").read_text()
    assert "PIPELINE_STATE_FAILED" in text
    assert "A gate that is not passed fails no job" in text


def test_function_is_given_what_it_reads(terraform: Path, repository: Path) -> None:
    settings = (repository / "deploy" / "functions" / "retrain" / "settings.py").read_text()
    given = set(re.findall(r"(?m)^\s+([A-Z_]+)\s+=", (terraform / "environment" / "retrain.tf").read_text()))
    read = set(re.findall(r'"([A-Z_]{4,})"', settings))
    assert read - {"JOB_OBJECT"} == given


def test_function_is_one_instance_that_the_internet_does_not_reach(parsed: Any) -> None:
    (service,) = parsed["environment"]["resource"]["google_cloudfunctions2_function.retrain"]["service_config"]
    assert (service["min_instance_count"], service["max_instance_count"]) == (0, 1)
    assert service["ingress_settings"] == "ALLOW_INTERNAL_ONLY"


def test_function_hears_of_every_object_of_both_buckets(parsed: Any) -> None:
    trigger = parsed["environment"]["resource"]["google_eventarc_trigger.objects"]
    assert "for bucket in toset([var.bucket, local.data_bucket]) :" in trigger["for_each"]
    criteria = {each["attribute"]: bare(each["value"]) for each in trigger["matching_criteria"]}
    assert criteria == {"type": "google.cloud.storage.object.v1.finalized", "bucket": "each.key"}


def test_schedule_that_is_late_for_the_function_has_one_try_left(parsed: Any, repository: Path) -> None:
    settings = (repository / "deploy" / "functions" / "retrain" / "settings.py").read_text("utf-8")
    (late,) = re.findall(r"(?m)^LATE_SCHEDULE_MINUTES = ([\d.]+)$", settings)
    (retry,) = parsed["environment"]["resource"]["google_cloud_scheduler_job.retrain"]["retry_config"]
    first, longest = (int(retry[f"{bound}_backoff_duration"].removesuffix("s")) / 60 for bound in ("min", "max"))
    pauses = [min(first * 2**number, longest) for number in range(retry["retry_count"])]
    assert sum(pauses[:-1]) < float(late) < sum(pauses)
