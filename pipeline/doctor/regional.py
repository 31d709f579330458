"""A TensorBoard instance and an encryption key, which lie in the pipeline's region as the runtime file has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.doctor.cloud import unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_ENCRYPTS = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
# {who uses the key: the domain of its service agent}; workers of Dataflow have disks of Compute Engine's.
_VERTEX = {"Vertex AI": "gcp-sa-aiplatform"}
_DATAFLOW = {"Dataflow": "dataflow-service-producer-prod", "Compute Engine": "compute-system"}


@unreachable_is_told("tensorboard")
def check_tensorboard(subject: Subject) -> Iterator[Finding]:
    """Ask Vertex AI for the instance, if the runtime names one."""
    runtime = subject.vertex
    if not (name := runtime.tensorboard):
        return
    host = subject.endpoints.vertex or f"https://{runtime.region}-aiplatform.googleapis.com"
    answer = subject.cloud.ask("GET", f"{host}/v1/{name}")
    project = name.split("/")[1]
    create = f"gcloud ai tensorboards create --display-name=pipelines --project={project} --region={runtime.region}"
    if answer.status == 404:
        yield problem("tensorboard", f"{name} does not exist.", create)
    elif answer.status != 200:
        cure = answer.cure("Have somebody look who may.")
        yield warning("tensorboard", f"{name} cannot be looked at: {answer.message}.", cure)
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
    """Ask Cloud KMS for the key, if the runtime names one, and whether those who encrypt with it may use it."""
    runtime = subject.vertex
    if not (name := runtime.encryption_key):
        return
    answer = subject.cloud.ask("GET", f"{subject.endpoints.kms}/v1/{name}")
    if answer.status == 404:
        _, project, _, region, _, ring, _, key = name.split("/")
        create = f"gcloud kms keys create {key} --project={project} --keyring={ring} --location={region} --purpose=encryption"
        yield problem("key", f"{name} does not exist.", create)
    elif answer.status != 200:
        cure = answer.cure("Have somebody look who may.")
        yield warning("key", f"{name} cannot be looked at: {answer.message}.", cure)
    elif answer.document.get("purpose", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
        yield problem("key", f"{name} is for {answer.document['purpose']}.", "Name a key for ENCRYPT_DECRYPT.")
    elif not (primary := answer.document.get("primary")):
        create = f"gcloud kms keys versions create --key={name} --primary"
        yield problem("key", f"{name} has no primary version, so that nothing can be encrypted with it.", create)
    elif (state := primary.get("state", "unknown")) != "ENABLED":
        enable = f"gcloud kms keys versions enable {primary.get('name', 'VERSION')}"
        yield problem("key", f"The primary version of {name} is {state.lower()}.", enable)
    else:
        yield ok("key", f"{name} is there and enabled")
        yield from _agents(subject, name)


def _agents(subject: Subject, key: str) -> Iterator[Finding]:
    """See whether the service agents of those who encrypt with a key may use it."""
    runtime, cloud = subject.vertex, subject.cloud
    project = cloud.ask("GET", f"{subject.endpoints.resource_manager}/v1/projects/{runtime.project}")
    version = [("options.requestedPolicyVersion", "3")]  # with less, conditions are hidden
    policy = cloud.ask("GET", f"{subject.endpoints.kms}/v1/{key}:getIamPolicy", version)
    number = project.document.get("projectNumber", "PROJECT_NUMBER")
    users = {who for binding in policy.document.get("bindings", ()) if _lets_encrypt(binding) for who in binding["members"]}
    for user, domain in (_VERTEX | (_DATAFLOW if runtime.dataflow else {})).items():
        agent = f"serviceAccount:service-{number}@{domain}.iam.gserviceaccount.com"
        grant = f"gcloud kms keys add-iam-policy-binding {key} --member={agent} --role={_ENCRYPTS}"
        if project.status != 200 or policy.status != 200:
            refused = project if project.status != 200 else policy
            yield warning("key", f"Whether {user} may use {key} cannot be told: {refused.message}.", refused.cure(grant))
        elif agent in users:
            yield ok("key", f"{user} may use {key}")
        else:
            found = f"{user}'s service agent is not granted {_ENCRYPTS} on {key} itself; its key ring or project may grant it."
            yield warning("key", found, grant)


def _lets_encrypt(binding: Mapping[str, Any]) -> bool:
    return binding.get("role") == _ENCRYPTS and not binding.get("condition") and bool(binding.get("members"))
