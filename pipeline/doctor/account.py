"""The service account that tasks run as: is it there, may one act as it, and has it the rights that the tasks need?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.doctor.cloud import Answer, member, unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_ACT_AS = "iam.serviceAccounts.actAs"
# Permissions that stand for what a task does, and the predefined role that has them.
_ALWAYS = {"roles/aiplatform.user": ("aiplatform.customJobs.create", "aiplatform.artifacts.create")}
_DATAFLOW = {
    "roles/dataflow.developer": ("dataflow.jobs.create",),
    "roles/dataflow.worker": ("dataflow.workItems.lease",),
}
_BIGQUERY = {"roles/bigquery.jobUser": ("bigquery.jobs.create",), "roles/bigquery.dataViewer": ("bigquery.tables.getData",)}
_BUCKET = {"roles/storage.objectAdmin": ("storage.objects.create", "storage.objects.get", "storage.objects.delete")}


@unreachable_is_told("account")
def check_account(subject: Subject) -> Iterator[Finding]:
    """Ask IAM for the account, and for what it may do."""
    runtime, cloud = subject.vertex, subject.cloud
    account = runtime.service_account
    if account is None:
        yield warning(
            "account",
            "No service account is named: tasks run as the project's default Compute Engine account, which may do too much or "
            "not be there.",
            "Name one of its own in the runtime file: service_account: pipeline@PROJECT.iam.gserviceaccount.com.",
        )
        return
    url = f"{subject.endpoints.iam}/v1/projects/-/serviceAccounts/{quote(account, safe='@')}"
    found = cloud.ask("GET", url)
    if found.status == 404:
        name, _, domain = account.partition("@")
        project = domain.removesuffix(".iam.gserviceaccount.com")
        yield problem("account", f"{account} does not exist.", f"gcloud iam service-accounts create {name} --project={project}")
        return
    if found.status == 200 and found.document.get("disabled"):
        yield problem("account", f"{account} is disabled.", f"gcloud iam service-accounts enable {account}")
        return
    yield _may_act_as(cloud.ask("POST", f"{url}:testIamPermissions", body={"permissions": [_ACT_AS]}), account, cloud.account)
    yield from _rights(subject, account)


def _may_act_as(answer: Answer, account: str, caller: str) -> Finding:
    grant = (
        f"gcloud iam service-accounts add-iam-policy-binding {account} --member={member(caller)} "
        "--role=roles/iam.serviceAccountUser"
    )
    if answer.status != 200:
        return warning("account", f"Whether {caller} may act as {account} cannot be told: {answer.message}.", grant)
    if _ACT_AS not in answer.document.get("permissions", ()):
        return problem("account", f"{caller} may not act as {account}: Vertex AI would refuse the job.", grant)
    return ok("account", f"{caller} may act as {account}")


def _rights(subject: Subject, account: str) -> Iterator[Finding]:
    """Hold what is granted to the account in the project and on the bucket to what tasks need."""
    runtime, endpoints = subject.vertex, subject.endpoints
    in_project = subject.cloud.ask("POST", f"{endpoints.resource_manager}/v1/projects/{runtime.project}:getIamPolicy", body={})
    bucket = runtime.bucket.removeprefix("gs://")
    on_bucket = subject.cloud.ask("GET", f"{endpoints.storage}/storage/v1/b/{quote(bucket, safe='')}/iam")
    if in_project.status != 200:
        yield warning(
            "account",
            f"What {account} may do in {runtime.project} cannot be told: {in_project.message}.",
            f"Have somebody look who may: gcloud projects get-iam-policy {runtime.project} "
            f"--flatten=bindings --filter=bindings.members:{account} --format='value(bindings.role)'",
        )
        return
    granted = _permissions(subject, in_project.document, account)
    missing = [role for role, needed in _needed(subject).items() if not granted.issuperset(needed)]
    here = granted | (_permissions(subject, on_bucket.document, account) if on_bucket.status == 200 else set())
    grants = [
        f"gcloud projects add-iam-policy-binding {runtime.project} --member={member(account)} --role={role}" for role in missing
    ]
    if on_bucket.status == 200 and not here.issuperset(*_BUCKET.values()):
        missing.append("roles/storage.objectAdmin on the bucket")
        grants.append(
            f"gcloud storage buckets add-iam-policy-binding {runtime.bucket} --member={member(account)} "
            "--role=roles/storage.objectAdmin"
        )
    if missing:
        yield warning(
            "account",
            f"{account} is not granted in {runtime.project} itself what tasks need of {', '.join(missing)}. A group, a folder "
            "or the organization may grant it, which is not seen from here.",
            "; ".join(grants),
        )
    else:
        yield ok("account", f"{account} has the rights that tasks need")


def _needed(subject: Subject) -> Mapping[str, tuple[str, ...]]:
    """Return {role: permissions of it} that tasks need in the project."""
    from pipeline.data_config import BigQueryData

    config = subject.config_or_none()
    reads_bigquery = config is not None and isinstance(config.data, BigQueryData)
    return _ALWAYS | (_DATAFLOW if subject.vertex.dataflow else {}) | (_BIGQUERY if reads_bigquery else {})


def _permissions(subject: Subject, policy: Mapping[str, Any], account: str) -> set[str]:
    """Return the permissions of the roles that a policy grants to an account."""
    permissions: set[str] = set()
    for binding in policy.get("bindings", ()):
        if f"serviceAccount:{account}" in binding.get("members", ()) and not binding.get("condition"):
            role = subject.cloud.ask("GET", f"{subject.endpoints.iam}/v1/{binding['role']}")
            permissions.update(role.document.get("includedPermissions", ()))
    return permissions
