"""The APIs that a pipeline on Vertex AI calls: are they enabled in the project?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.doctor.cloud import CloudError, member
from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.doctor.image import parse_image

if TYPE_CHECKING:
    from pipeline.doctor.cloud import Answer
    from pipeline.doctor.subject import Subject


def check_services(subject: Subject) -> Iterator[Finding]:
    """Ask the Service Usage API for each."""
    project = subject.vertex.project
    enabled: list[str] = []
    disabled: list[str] = []
    for service in needed_services(subject):
        try:
            url = f"{subject.endpoints.service_usage}/v1/projects/{project}/services/{service}"
            answer = subject.cloud.ask("GET", url)
        except CloudError as error:
            yield problem("services", str(error), error.cure)
            return
        if answer.status != 200:
            yield _unknown(answer, project, subject.cloud.account)
            break  # the others would be refused likewise
        (enabled if answer.document.get("state") == "ENABLED" else disabled).append(service)
    if disabled:
        yield problem(
            "services",
            f"{project} has not enabled {', '.join(disabled)}.",
            f"gcloud services enable {' '.join(disabled)} --project={project}",
        )
    if enabled:
        yield ok("services", f"{project} has enabled {', '.join(enabled)}")


def needed_services(subject: Subject) -> list[str]:
    """Return the names of the APIs that the runtime and, if it can be loaded, the config need."""
    from pipeline.data_config import BigQueryData

    runtime, config = subject.vertex, subject.config_or_none()
    image = parse_image(runtime.image)
    names = ["aiplatform", "storage"]
    names += ["dataflow", "compute"] if runtime.dataflow else []
    names += ["artifactregistry"] if image.is_googles and image.project == runtime.project else []
    names += ["bigquery"] if config is not None and isinstance(config.data, BigQueryData) else []
    tells = runtime.notify
    used = {
        "cloudkms": runtime.encryption_key,
        "pubsub": tells and tells.topic,
        "secretmanager": tells and tells.webhook_secret,
    }
    names += [name for name, resource in used.items() if resource and resource.split("/")[1] == runtime.project]
    return [f"{name}.googleapis.com" for name in names]


def _unknown(answer: Answer, project: str, account: str) -> Finding:
    found = f"Which APIs {project} has enabled cannot be told: {answer.message}."
    if answer.status == 403 and not answer.is_denied:
        enable = answer.cure(f"gcloud services enable serviceusage.googleapis.com --project={project}")
        return warning("services", found, enable)
    return warning(
        "services",
        found,
        f"Check `project:`; or have somebody grant the right: gcloud projects add-iam-policy-binding {project} "
        f"--member={member(account)} --role=roles/serviceusage.serviceUsageViewer",
    )
