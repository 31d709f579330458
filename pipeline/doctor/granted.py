"""What is granted to a service account in the project and on the bucket, held to what tasks and workers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.doctor.cloud import Answer, member
from pipeline.doctor.findings import Finding, ok, warning
from pipeline.doctor.query import project_of_query

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

# Permissions that stand for what a task does, and the predefined role that has them.
_ALWAYS = {"roles/aiplatform.user": ("aiplatform.customJobs.create", "aiplatform.artifacts.create")}
_DATAFLOW = {"roles/dataflow.developer": ("dataflow.jobs.create",)}
_WORKER = {"roles/dataflow.worker": ("dataflow.workItems.lease",)}
# Beam puts the result of a query into a dataset that it makes for a while (beam.io.ReadFromBigQuery).
_BIGQUERY = {
    "roles/bigquery.user": ("bigquery.jobs.create", "bigquery.datasets.create"),
    "roles/bigquery.dataViewer": ("bigquery.tables.getData",),
}
_BUCKET_ROLE = "roles/storage.objectAdmin"
_BUCKET = frozenset(f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete"))
# Without it, IAM hides that a role is granted under a condition: https://cloud.google.com/iam/docs/policies#specifying-version-get
_POLICY_VERSION = 3


@dataclass
class Granted:
    """What a policy grants to an account.

    Attributes:
      permissions: of the roles that are granted without a condition.
      conditional: roles that are granted under a condition.
      unread: {role whose permissions cannot be read: the answer that says why}.
    """

    permissions: set[str] = field(default_factory=set)
    conditional: list[str] = field(default_factory=list)
    unread: dict[str, Answer] = field(default_factory=dict)


def judge_rights(subject: Subject, account: str) -> Iterator[Finding]:
    """Ask for both policies, and name what is missing."""
    runtime, endpoints, cloud = subject.vertex, subject.endpoints, subject.cloud
    project_answer = cloud.ask(
        "POST",
        f"{endpoints.resource_manager}/v1/projects/{runtime.project}:getIamPolicy",
        body={"options": {"requestedPolicyVersion": _POLICY_VERSION}},
    )
    bucket_answer = cloud.ask(
        "GET",
        f"{endpoints.storage}/storage/v1/b/{quote(runtime.bucket.removeprefix('gs://'), safe='')}/iam",
        [("optionsRequestedPolicyVersion", str(_POLICY_VERSION))],
    )
    in_project, on_bucket = _granted(subject, project_answer, account), _granted(subject, bucket_answer, account)
    missing: dict[str, str] = {}
    if project_answer.status == 200:
        missing = _missing_in_project(subject, in_project, account)
    else:
        look = f"gcloud projects get-iam-policy {runtime.project}"
        yield _untold(project_answer, runtime.project, account, "resourcemanager.projects.getIamPolicy", look)
    lacks_bucket = not in_project.permissions | on_bucket.permissions >= _BUCKET
    if lacks_bucket and bucket_answer.status == 200:
        missing[f"{_BUCKET_ROLE} on the bucket"] = (
            f"gcloud storage buckets add-iam-policy-binding {runtime.bucket} --member={member(account)} --role={_BUCKET_ROLE}"
        )
    elif lacks_bucket:
        look = f"gcloud storage buckets get-iam-policy {runtime.bucket}"
        yield _untold(bucket_answer, runtime.bucket, account, "storage.buckets.getIamPolicy", look)
    if missing:
        yield _not_granted(missing, runtime.project, account, in_project, on_bucket)
    elif project_answer.status == 200 and not (lacks_bucket and bucket_answer.status != 200):
        yield ok("account", f"{account} has the rights that tasks need")
    yield from _query_unchecked(subject, account)
    yield from _notify_unchecked(subject, account)


def _missing_in_project(subject: Subject, granted: Granted, account: str) -> dict[str, str]:
    """Return {role that is not granted: what grants it}."""
    return {
        role: f"gcloud projects add-iam-policy-binding {subject.vertex.project} --member={member(account)} --role={role}"
        for role, needed in _needed(subject, account).items()
        if not granted.permissions.issuperset(needed)
    }


def _needed(subject: Subject, account: str) -> Mapping[str, tuple[str, ...]]:
    """Return {role: permissions of it} that an account needs in the project, for tasks, for Dataflow's workers, or for both."""
    runtime = subject.vertex
    flow = runtime.dataflow
    needed: dict[str, tuple[str, ...]] = {}
    if account == runtime.service_account:
        needed.update(_ALWAYS)
        needed.update(_DATAFLOW if flow else {})
        needed.update(_BIGQUERY if project_of_query(subject) == runtime.project else {})
    if flow and account == (flow.service_account or runtime.service_account):
        needed.update(_WORKER)
    return needed


def _query_unchecked(subject: Subject, account: str) -> Iterator[Finding]:
    """Say that the policy of another project, which pays for the query, is not looked at."""
    project = project_of_query(subject)
    if project is None or project == subject.vertex.project or account != subject.vertex.service_account:
        return
    grants = [
        f"gcloud projects add-iam-policy-binding {project} --member={member(account)} --role={role}" for role in _BIGQUERY
    ]
    yield warning(
        "account",
        f"Not checked: whether {account} may run the query in {project}, which is another project than "
        f"{subject.vertex.project}.",
        "; ".join(grants),
    )


def _notify_unchecked(subject: Subject, account: str) -> Iterator[Finding]:
    """Say that the policies of a topic and a secret, where their rights usually lie, are not looked at."""
    told = subject.vertex.notify
    if told is None or account != subject.vertex.service_account:
        return
    uses = (
        (told.topic, "pubsub topics", "roles/pubsub.publisher"),
        (told.webhook_secret, "secrets", "roles/secretmanager.secretAccessor"),
    )
    grants = [
        f"gcloud {kind} add-iam-policy-binding {name} --member={member(account)} --role={role}"
        for name, kind, role in uses
        if name
    ]
    named = " and ".join(name for name, _, _ in uses if name)
    yield warning(
        "account", f"Not checked: whether {named} exist, and {account} may use them to tell of a job's end.", "; ".join(grants)
    )


def _granted(subject: Subject, answer: Answer, account: str) -> Granted:
    granted = Granted()
    if answer.status != 200:
        return granted
    for binding in answer.document.get("bindings", ()):
        if f"serviceAccount:{account}" not in binding.get("members", ()):
            continue
        if binding.get("condition"):
            granted.conditional.append(binding["role"])
            continue
        role = subject.cloud.ask("GET", f"{subject.endpoints.iam}/v1/{binding['role']}")
        if role.status == 200:
            granted.permissions.update(role.document.get("includedPermissions", ()))
        else:
            granted.unread[binding["role"]] = role
    return granted


def _not_granted(missing: Mapping[str, str], project: str, account: str, *policies: Granted) -> Finding:
    found = (
        f"{account} is not granted in {project} itself what tasks need of {', '.join(missing)}. A group, a folder or the "
        "organization may grant it, which is not seen from here."
    )
    if unread := {role: answer for policy in policies for role, answer in policy.unread.items()}:
        needs = ", it takes iam.roles.get" if any(answer.is_denied for answer in unread.values()) else ""
        roles = ", ".join(f"{role} ({answer.message})" for role, answer in unread.items())
        found += f" What these roles of it allow could not be checked{needs}: {roles}."
    if conditional := [role for policy in policies for role in policy.conditional]:
        found += f" Granted under a condition, and not counted: {', '.join(conditional)}."
    return warning("account", found, "; ".join(missing.values()))


def _untold(answer: Answer, place: str, account: str, permission: str, look: str) -> Finding:
    """Say that a policy cannot be read.

    Args:
      answer: to the request for it.
      place: whose policy it is: a project, or a bucket.
      account: that should be granted something there.
      permission: that it takes to read it.
      look: the command that shows it to somebody who may see it.
    """
    needs = f" It takes {permission}." if answer.is_denied else ""
    ours = f"--flatten=bindings --filter=bindings.members:{account} --format='value(bindings.role)'"
    return warning(
        "account",
        f"What {account} may do in {place} cannot be told: {answer.message}.{needs}",
        answer.cure(f"Have somebody look who may: {look} {ours}"),
    )
