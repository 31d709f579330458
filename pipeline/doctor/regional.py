"""A TensorBoard instance and an encryption key, which lie in the pipeline's region as the runtime file has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.doctor.cloud import unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_ENCRYPTS = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


@unreachable_is_told("tensorboard")
def check_tensorboard(subject: Subject) -> Iterator[Finding]:
    """Ask Vertex AI for the instance, if the runtime names one."""
    runtime = subject.vertex
    if not (name := runtime.tensorboard):
        return
    host = subject.endpoints.vertex or f"https://{runtime.region}-aiplatform.googleapis.com"
    answer = subject.cloud.ask("GET", f"{host}/v1/{name}")
    create = f"gcloud ai tensorboards create --display-name=pipelines --project={runtime.project} --region={runtime.region}"
    if answer.status == 404:
        yield problem("tensorboard", f"{name} does not exist.", create)
    elif answer.status != 200:
        yield warning("tensorboard", f"{name} cannot be looked at: {answer.message}.", "Have somebody look who may.")
    else:
        yield ok("tensorboard", f"{name} is there")
        if runtime.service_account is None:
            yield problem(
                "tensorboard",
                "Training jobs with a TensorBoard need a service account, and the runtime file names none.",
                "Name one: service_account: pipeline@PROJECT.iam.gserviceaccount.com.",
            )


@unreachable_is_told("key")
def check_key(subject: Subject) -> Iterator[Finding]:
    """Ask Cloud KMS for the key, if the runtime names one, and whether Vertex AI may use it."""
    runtime = subject.vertex
    if not (name := runtime.encryption_key):
        return
    answer = subject.cloud.ask("GET", f"{subject.endpoints.kms}/v1/{name}")
    if answer.status == 404:
        _, _, _, region, _, ring, _, key = name.split("/")
        create = f"gcloud kms keys create {key} --keyring={ring} --location={region} --purpose=encryption"
        yield problem("key", f"{name} does not exist.", create)
    elif answer.status != 200:
        yield warning("key", f"{name} cannot be looked at: {answer.message}.", "Have somebody look who may.")
    elif answer.document.get("purpose", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
        yield problem("key", f"{name} is for {answer.document['purpose']}.", "Name a key for ENCRYPT_DECRYPT.")
    elif (state := answer.document.get("primary", {}).get("state", "ENABLED")) != "ENABLED":
        enable = f"gcloud kms keys versions enable {answer.document['primary'].get('name', 'VERSION')}"
        yield problem("key", f"The primary version of {name} is {state.lower()}.", enable)
    else:
        yield ok("key", f"{name} is there and enabled")
        yield from _agent(subject, name)


def _agent(subject: Subject, key: str) -> Iterator[Finding]:
    """See whether Vertex AI's service agent may use a key."""
    runtime, cloud = subject.vertex, subject.cloud
    project = cloud.ask("GET", f"{subject.endpoints.resource_manager}/v1/projects/{runtime.project}")
    number = project.document.get("projectNumber", "PROJECT_NUMBER")
    agent = f"serviceAccount:service-{number}@gcp-sa-aiplatform.iam.gserviceaccount.com"
    grant = f"gcloud kms keys add-iam-policy-binding {key} --member={agent} --role={_ENCRYPTS}"
    policy = cloud.ask("GET", f"{subject.endpoints.kms}/v1/{key}:getIamPolicy")
    if project.status != 200 or policy.status != 200:
        said = (project if project.status != 200 else policy).message
        yield warning("key", f"Whether Vertex AI may use {key} cannot be told: {said}.", grant)
    elif any(b.get("role") == _ENCRYPTS and agent in b.get("members", ()) for b in policy.document.get("bindings", ())):
        yield ok("key", f"Vertex AI may use {key}")
    else:
        found = f"Vertex AI's service agent is not granted {_ENCRYPTS} on {key} itself; its key ring or project may grant it."
        yield warning("key", found, grant)
