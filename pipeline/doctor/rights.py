"""What the credentials of whoever submits may do in the project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.doctor.cloud import member, unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

# https://cloud.google.com/vertex-ai/docs/general/iam-permissions
_NEEDED = tuple(f"aiplatform.pipelineJobs.{verb}" for verb in ("create", "get", "list", "cancel"))
_FOR_SCHEDULES = ("aiplatform.schedules.create", "aiplatform.schedules.list")
_ROLE = "roles/aiplatform.user"


@unreachable_is_told("rights")
def check_rights(subject: Subject) -> Iterator[Finding]:
    """Ask the Resource Manager which of the permissions that `submit` and `schedule` need are there."""
    project, cloud = subject.vertex.project, subject.cloud
    grant = f"gcloud projects add-iam-policy-binding {project} --member={member(cloud.account)} --role={_ROLE}"
    url = f"{subject.endpoints.resource_manager}/v1/projects/{project}:testIamPermissions"
    answer = cloud.ask("POST", url, body={"permissions": [*_NEEDED, *_FOR_SCHEDULES]})
    if answer.status != 200:
        yield warning(
            "rights", f"What {cloud.account} may do in {project} cannot be told: {answer.message}.", answer.cure(grant)
        )
        return
    granted = answer.document.get("permissions", ())
    for needed, doing, tell in ((_NEEDED, "submit jobs", problem), (_FOR_SCHEDULES, "schedule them", warning)):
        if lacking := [each for each in needed if each not in granted]:
            yield tell("rights", f"{cloud.account} cannot {doing} in {project}: it lacks {', '.join(lacking)}.", grant)
        else:
            yield ok("rights", f"{cloud.account} may {doing} in {project}")
