"""The bucket of a Vertex runtime: is it there, in the right region, and may we write to it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.doctor.cloud import CloudError, member
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.cloud import Answer
    from pipeline.doctor.subject import Subject
    from pipeline.vertex.runtime import VertexRuntime

# What TFX asks of a pipeline root: https://cloud.google.com/storage/docs/access-control/iam-permissions
_PERMISSIONS = ("storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list")


def check_bucket(subject: Subject) -> Iterator[Finding]:
    """Ask the JSON API of Cloud Storage for the bucket and for what these credentials may do there."""
    runtime, cloud = subject.vertex, subject.cloud
    url = f"{subject.endpoints.storage}/storage/v1/b/{quote(runtime.bucket.removeprefix('gs://'), safe='')}"
    grant = f"gcloud storage buckets add-iam-policy-binding {runtime.bucket} --member={member(cloud.account)} --role="
    try:
        answer = cloud.ask("GET", url, [("fields", "location,locationType")])
        if answer.status == 404:
            create = f"gcloud storage buckets create {runtime.bucket} --project={runtime.project} --location={runtime.region}"
            yield problem("bucket", f"{runtime.bucket} does not exist.", create)
            return
        if answer.status == 403:
            yield problem(
                "bucket",
                f"{cloud.account} may not look at {runtime.bucket} ({answer.message}). It may not exist, or be somebody "
                "else's.",
                f"{grant}roles/storage.admin; or make or name a bucket of your own.",
            )
            return
        if answer.status != 200:
            yield problem("bucket", f"{runtime.bucket} cannot be looked at: {answer.message}.", "Look again in a minute.")
            return
        yield _judge_region(answer, runtime)
        allowed = cloud.ask("GET", f"{url}/iam/testPermissions", [("permissions", name) for name in _PERMISSIONS])
    except CloudError as error:
        yield problem("bucket", str(error), error.cure)
        return
    lacking = [name for name in _PERMISSIONS if name not in allowed.document.get("permissions", ())]
    if allowed.status != 200:
        yield problem("bucket", f"Rights on {runtime.bucket} cannot be told: {allowed.message}.", f"{grant}roles/storage.admin")
    elif lacking:
        lacks = f"{cloud.account} lacks {', '.join(lacking)} on {runtime.bucket}."
        yield problem("bucket", lacks, f"{grant}roles/storage.objectAdmin")
    else:
        yield ok("bucket", f"{cloud.account} may read, write and delete in {runtime.bucket}")


def _judge_region(answer: Answer, runtime: VertexRuntime) -> Finding:
    location = str(answer.document.get("location", "")).lower()
    if location == runtime.region:
        return ok("bucket", f"{runtime.bucket} is in {location}")
    found = f"{runtime.bucket} is in {location or 'an unknown place'}, the pipeline runs in {runtime.region}"
    cure = f"Name a bucket in {runtime.region}: gcloud storage buckets create gs://NAME --location={runtime.region}"
    if answer.document.get("locationType") in ("multi-region", "dual-region"):
        return warning("bucket", f"{found}: reading across regions costs money, and time.", cure)
    return problem("bucket", f"{found}: Vertex AI wants both in one region.", f"{cure}; or set `region: {location}`.")
