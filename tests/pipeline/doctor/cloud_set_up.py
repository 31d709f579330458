"""A Vertex runtime that a small Google of our own has everything for, and the checks of it."""

from __future__ import annotations

from pathlib import Path

import yaml
from fake_google import ACCOUNT, DIGEST, PERMISSIONS, FakeGoogle

from pipeline.doctor import checks
from pipeline.doctor.findings import Finding
from pipeline.doctor.subject import Endpoints, Subject

IMAGE = "europe-west4-docker.pkg.dev/my-project/pipelines/tfx-pipeline"
VALUES = {
    "project": "my-project",
    "region": "europe-west4",
    "bucket": "gs://my-bucket",
    "image": f"{IMAGE}@{DIGEST}",
    "dataflow": {"max_workers": 2},
}
CLOUD_CHECKS = ("runtime", "credentials", "bucket", "services", "image")
BUCKET, RIGHTS = "GET /storage/v1/b/my-bucket", "GET /storage/v1/b/my-bucket/iam/testPermissions"
MANIFEST = f"HEAD /v2/my-project/pipelines/tfx-pipeline/manifests/{DIGEST}"
PROJECT_RIGHTS = "POST /v1/projects/my-project:testIamPermissions"
CALLER_PERMISSIONS = [
    *(f"aiplatform.pipelineJobs.{verb}" for verb in ("create", "get", "list", "cancel")),
    "aiplatform.schedules.create",
    "aiplatform.schedules.list",
]
SERVICES = [f"{name}.googleapis.com" for name in ("aiplatform", "storage", "dataflow", "compute", "artifactregistry")]
GRANT = f"gcloud storage buckets add-iam-policy-binding gs://my-bucket --member=serviceAccount:{ACCOUNT} --role="


def service_path(name: str) -> str:
    return f"GET /v1/projects/my-project/services/{name}"


def look(google: FakeGoogle, folder: Path, *names: str, config: Path | None = None, **values: object) -> list[Finding]:
    """Make some of the checks of a runtime that differs from VALUES."""
    path = folder / "vertex.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (VALUES | values).items() if value is not None}))
    endpoints = Endpoints.all_at(google.url)
    subject = Subject(config=config, runtime=path, endpoints=endpoints)
    return [finding for name in names or CLOUD_CHECKS for finding in checks.CHECKS[name].look(subject)]


def all_is_well() -> dict[str, tuple[int, dict[str, object]]]:
    """What a Google answers that has it all."""
    return {
        BUCKET: (200, {"location": "EUROPE-WEST4", "locationType": "region"}),
        RIGHTS: (200, {"kind": "storage#testIamPermissionsResponse", "permissions": PERMISSIONS}),
        MANIFEST: (200, {"digest": DIGEST}),
        **{service_path(name): (200, {"state": "ENABLED"}) for name in SERVICES},
        PROJECT_RIGHTS: (200, {"permissions": CALLER_PERMISSIONS}),
    }
