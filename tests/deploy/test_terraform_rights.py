"""Terraform's grants: exactly what the documentation's table lists, and there before who needs them acts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terraform_files import FOLDERS, MODULE, ROOTS, accounts, bare, code, rights

# What the table calls a target, and its expression.
TARGETS = {
    "in the project": "var.project",
    "on the bucket": "google_storage_bucket.pipelines.name",
    "below PIPELINE/promoted/": "google_storage_bucket.pipelines.name",
    "on the data's own": "local.data_bucket",
    "on `pipeline`": 'google_service_account.accounts["pipeline"].name',
    "on itself": 'google_service_account.accounts["pipeline"].name',
    "on the topic `pipeline-jobs`": "google_pubsub_topic.jobs.name",
    "on the function": "google_cloudfunctions2_function.retrain.name",
    "on the repository": "google_artifact_registry_repository.pipelines.repository_id",
}
_PROMOTED = "projects/_/buckets/${var.bucket}/objects/${var.pipeline}/promoted/"
CONDITIONS = {"below PIPELINE/promoted/": f"resource.name.startsWith('{_PROMOTED}')"}
STORAGE_AGENT = "data.google_storage_project_service_account.storage.member"
# Who needs rights as soon as it is there, and whose.
ACTORS = {
    "google_cloudfunctions2_function.retrain": {"retrain-build"},
    "google_cloud_scheduler_job.retrain": {"retrain-scheduler"},
    "google_eventarc_trigger.objects": {"retrain-events", STORAGE_AGENT},
}


@pytest.fixture(scope="module")
def page(terraform: Path) -> str:
    return (terraform / "README.md").read_text("utf-8")


def listed(page: str) -> set[tuple[str, str, str, str]]:
    """Return (account, role, target, condition) of each row of the table."""
    found = set()
    for account, may in re.findall(r"(?m)^\| `([\w-]+)` \|[^|]*\|([^|]*)\|$", page):
        for clause in may.split(";"):
            place = re.sub(r"^.*`roles/[\w.]+`", "", clause.strip()).strip()
            roles = re.findall(r"`(roles/[\w.]+)`", clause)
            found |= {(account, role, TARGETS[place], CONDITIONS.get(place, "")) for role in roles}
    return found


def test_every_account_has_exactly_the_roles_of_the_table(parsed: Any, page: str) -> None:
    ids = {account for root in ROOTS for account in accounts(parsed[root]).values()}
    granted = {
        (right.member, right.role, right.target, right.condition)
        for root in ROOTS
        for right in rights(parsed[root])
        if right.member in ids
    }
    assert granted == listed(page)
    assert {account for account, *_ in granted} == ids


def test_nobody_else_has_more_than_the_text_below_the_table_says(parsed: Any, page: str) -> None:
    ids = {account for root in ROOTS for account in accounts(parsed[root]).values()}
    others = {(right.member, right.role) for folder in FOLDERS for right in rights(parsed[folder]) if right.member not in ids}
    (github,) = [right.member for right in rights(parsed[MODULE])]
    assert github.endswith("/attribute.target/${var.repository}:${var.environment}")
    assert others == {
        (github, "roles/iam.workloadIdentityUser"),
        ("each.value", "roles/artifactregistry.reader"),
        (STORAGE_AGENT, "roles/pubsub.publisher"),
        ("each.value", "roles/cloudkms.cryptoKeyEncrypterDecrypter"),
    }
    below = page[page.index("GitHub signs in without keys") :]
    assert set(re.findall(r"`(roles/[\w.]+)`", below)) == {role for _, role in others}


@pytest.mark.parametrize(("root", "account"), [("images", "builder"), ("environment", "submitter")])
def test_github_acts_as_the_account_that_the_text_names(root: str, account: str, parsed: Any) -> None:
    (module,) = parsed[root]["module"].values()
    assert accounts(parsed[root])[bare(module["service_account"]).removesuffix(".name")] == account
    (github,) = rights(parsed[MODULE])
    assert github.target == "var.service_account"


def test_what_each_value_of_others_stands_for_is_known(parsed: Any) -> None:
    readers = parsed["images"]["resource"]["google_artifact_registry_repository_iam_member.readers"]
    assert bare(readers["for_each"]) == "toset(flatten(values(var.readers)))"
    told = parsed["environment"]["output"]["image_readers"]["value"]
    assert [bare(each) for each in told] == [
        "local.agents.vertex", "local.agents.dataflow", 'google_service_account.accounts["pipeline"].member',
    ]  # fmt: skip
    users = parsed["environment"]["resource"]["google_kms_crypto_key_iam_member.agents"]
    assert bare(users["for_each"]) == "var.kms_key == null ? {} : local.agents"
    assert set(parsed["environment"]["locals"]["agents"]) == {"vertex", "dataflow", "compute", "storage"}


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed.")
@pytest.mark.parametrize(("given", "reads_data"), [((), []), (("-var", "data_bucket=data"), ["pipeline", "retrain"])])
def test_terraform_itself_makes_the_same_of_the_tables(
    given: tuple[str, ...], reads_data: list[str], terraform: Path, parsed: Any, tmp_path: Path
) -> None:
    text = (terraform / "environment" / "accounts.tf").read_text("utf-8")
    tables = re.findall(r"(?ms)^locals \{.*?^\}", text)
    (tmp_path / "main.tf").write_text("\n".join(['variable "data_bucket" {\n  default = null\n}', *tables]))
    command = ["terraform", f"-chdir={tmp_path}", "console", *given]
    asked = "jsonencode([local.project_grants, local.starts_jobs, local.calls, local.reads_data])\n"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    grants, *sets = json.loads(json.loads(done.stdout))
    made = {(pair["account"], pair["role"]) for pair in grants.values()}
    found = [right for right in rights(parsed["environment"]) if right.granted_by == "google_project_iam_member.accounts"]
    assert made == {(right.member, right.role) for right in found}
    assert sets == [["pipeline", "retrain", "submitter"], ["retrain-events", "retrain-scheduler"], reads_data]


def test_rights_are_the_least_and_nobody_has_a_key(terraform: Path, parsed: Any) -> None:
    roles = {right.role for folder in FOLDERS for right in rights(parsed[folder])}
    written = {role for folder in FOLDERS for role in re.findall(r'"(roles/[\w.]+)"', code(terraform / folder))}
    assert roles == written
    assert not roles & {"roles/owner", "roles/editor", "roles/viewer"}
    assert not [role for role in roles if role.lower().endswith("admin")]
    kinds = {name.partition(".")[0] for folder in FOLDERS for name in parsed[folder]["resource"]}
    assert "google_service_account_key" not in kinds
    assert not [kind for kind in kinds if kind.endswith(("_iam_policy", "_iam_binding"))]  # they take away what others granted
    for folder in FOLDERS:
        assert "allUsers" not in code(terraform / folder)
        assert "allAuthenticatedUsers" not in code(terraform / folder)


@pytest.mark.parametrize("actor", ACTORS)
def test_who_acts_at_once_waits_for_its_rights(actor: str, parsed: Any) -> None:
    environment = parsed["environment"]
    grants = {right.granted_by for right in rights(environment) if right.member in ACTORS[actor]}
    assert grants
    assert grants <= {bare(each) for each in environment["resource"][actor]["depends_on"]}


def test_what_is_encrypted_waits_for_the_right_to_the_key(parsed: Any) -> None:
    encrypted = {
        address: body for address, body in parsed["environment"]["resource"].items()
        if any(name.startswith("encryption") for each in body.get("dynamic", []) for name in each)
    }  # fmt: skip
    assert set(encrypted) == {"google_storage_bucket.pipelines", "google_vertex_ai_tensorboard.training"}
    for address, body in encrypted.items():
        assert "google_kms_crypto_key_iam_member.agents" in {bare(each) for each in body["depends_on"]}, address
