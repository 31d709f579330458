"""The service accounts that tasks and Dataflow's workers run as: are they there, and may one act as them?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.doctor.cloud import Answer, member, unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.doctor.granted import judge_rights

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_ACT_AS = "iam.serviceAccounts.actAs"
_OF_PROJECT = ".iam.gserviceaccount.com"
_APP_ENGINE = "appspot.gserviceaccount.com"


@unreachable_is_told("account")
def check_account(subject: Subject) -> Iterator[Finding]:
    """Ask IAM for each account, and for what it may do."""
    account = subject.vertex.service_account
    workers = subject.vertex.dataflow.service_account if subject.vertex.dataflow else None
    if account is None:
        yield warning(
            "account",
            "No service account is named: tasks run as the project's default Compute Engine account, which may do too much or "
            "not be there. It is not looked at, nor whether you may act as it.",
            "Name one of its own in the runtime file: service_account: pipeline@PROJECT.iam.gserviceaccount.com.",
        )
    for each in dict.fromkeys(name for name in (account, workers) if name):
        url, caller = _url(subject, each), subject.cloud.account
        if finding := _not_usable(subject.cloud.ask("GET", url), each, caller):
            yield finding
            if finding.state == "problem":
                continue
        if each == account:
            answer = subject.cloud.ask("POST", f"{url}:testIamPermissions", body={"permissions": [_ACT_AS]})
            yield _may_act_as(answer, account, caller)
        yield from _judge_project(subject, each)
        yield from judge_rights(subject, each)
    if workers and workers != account:
        actor = account or "NUMBER-compute@developer.gserviceaccount.com"
        yield warning(
            "account",
            f"Not checked: whether {actor} may act as {workers}, which it must to start Dataflow's workers.",
            _grant_act_as(workers, actor),
        )


def _judge_project(subject: Subject, account: str) -> Iterator[Finding]:
    """Say what is not seen of an account of another project.

    Source: https://cloud.google.com/iam/docs/attach-service-accounts
    """
    project, own = project_of(account), subject.vertex.project
    if project in (None, own):
        return
    yield warning(
        "account",
        f"Not checked: whether machines in {own} may run as {account}, which is of another project.",
        f"The organization policy iam.disableCrossProjectServiceAccountUsage of {project} must not be enforced, and the "
        f"service agents in {own} of Vertex AI and, for its workers, of Dataflow and Compute Engine need "
        f"roles/iam.serviceAccountTokenCreator on {account}.",
    )


def project_of(account: str) -> str | None:
    """Return the project that a service account's address names; None of one that names none, as Compute Engine's default."""
    name, _, domain = account.partition("@")
    if domain == _APP_ENGINE:
        return name
    if not domain.endswith(_OF_PROJECT):
        return None
    project, _, organization = domain.removesuffix(_OF_PROJECT).partition(".")
    return f"{organization}:{project}" if organization else project


def _url(subject: Subject, account: str) -> str:
    """Return where IAM has an account.

    With `-` for its project IAM says 403 of one that does not exist:
    https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/get
    """
    project = quote(project_of(account) or "-", safe=":")
    return f"{subject.endpoints.iam}/v1/projects/{project}/serviceAccounts/{quote(account, safe='@')}"


def _not_usable(answer: Answer, account: str, caller: str) -> Finding | None:
    """Return what keeps an account from being used, or being looked at; None for one that is there."""
    if answer.status == 200:
        if not answer.document.get("disabled"):
            return None
        return problem("account", f"{account} is disabled.", f"gcloud iam service-accounts enable {account}")
    if answer.status == 404:
        return problem("account", f"{account} does not exist.", _create(account))
    if not answer.is_denied:
        cure = answer.cure("Look again in a minute.")
        return warning("account", f"{account} cannot be looked at: {answer.message}.", cure)
    return warning(
        "account",
        f"Whether {account} is there could not be checked: {answer.message}. It may not exist, or {caller} lacks "
        "iam.serviceAccounts.get.",
        f"gcloud projects add-iam-policy-binding {project_of(account) or 'ITS_PROJECT'} --member={member(caller)} "
        f"--role=roles/iam.serviceAccountViewer; if it does not exist: {_create(account)}",
    )


def _create(account: str) -> str:
    name, _, domain = account.partition("@")
    if domain.endswith(_OF_PROJECT):
        return f"gcloud iam service-accounts create {name} --project={project_of(account)}"
    return "name an account of your own, or enable the API of Compute Engine or App Engine, which makes its default account."


def _may_act_as(answer: Answer, account: str, caller: str) -> Finding:
    grant = _grant_act_as(account, caller)
    if answer.status != 200:
        return warning(
            "account", f"Whether {caller} may act as {account} cannot be told: {answer.message}.", answer.cure(grant)
        )
    if _ACT_AS not in answer.document.get("permissions", ()):
        return problem("account", f"{caller} may not act as {account}: Vertex AI would refuse the job.", grant)
    return ok("account", f"{caller} may act as {account}")


def _grant_act_as(account: str, actor: str) -> str:
    return (
        f"gcloud iam service-accounts add-iam-policy-binding {account} --member={member(actor)} "
        "--role=roles/iam.serviceAccountUser"
    )
