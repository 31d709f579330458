"""The container image of a Vertex runtime: is it there, and named so that it cannot change?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.doctor.cloud import CloudError, member
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# Vertex AI's service agents: its own, and that of custom code.
_READERS = ("gcp-sa-aiplatform", "gcp-sa-aiplatform-cc")
_DIGEST_HEADER = "docker-content-digest"


@dataclass(frozen=True)
class Image:
    """An image's name in parts; reference: its digest or, without one, its tag."""

    host: str
    repository: str
    reference: str

    @property
    def is_pinned(self) -> bool:
        return self.reference.startswith("sha256:")

    @property
    def is_googles(self) -> bool:
        """Whether Google's registries have it: nobody else is shown the credentials."""
        return self.host == "gcr.io" or self.host.endswith((".pkg.dev", ".gcr.io"))

    @property
    def project(self) -> str:
        """Whose it is, in Google's registries."""
        first, _, rest = self.repository.partition("/")
        return f"{first}:{rest.partition('/')[0]}" if "." in first else first


def parse_image(name: str) -> Image:
    """Split `host/repository:tag@sha256:digest`; a name without a host is Docker Hub's."""
    rest, _, digest = name.partition("@")
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # the colon of host:port
        path, tag = rest, "latest"
    host, slash, repository = path.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, repository = "docker.io", path
    return Image(host, repository, digest or tag)


def check_image(subject: Subject) -> Iterator[Finding]:
    """Ask the registry for the image's manifest (the OCI distribution API's HEAD)."""
    name, cloud = subject.vertex.image, subject.cloud
    image = parse_image(name)
    if not image.is_googles:
        yield from _judge_pin(image, None, subject)
        yield warning(
            "image",
            f"{name} is not looked at: {image.host} is none of Google's registries.",
            "Keep it in Artifact Registry (REGION-docker.pkg.dev), which Vertex AI reads without further rights.",
        )
        return
    base = subject.endpoints.registry or f"https://{image.host}"
    try:
        url = f"{base}/v2/{image.repository}/manifests/{image.reference}"
        answer = cloud.ask("HEAD", url, headers={"Accept": ", ".join(_MANIFESTS)})
    except CloudError as error:
        yield problem("image", str(error), error.cure)
        return
    if answer.status == 200:
        yield ok("image", f"{name} exists")
    elif answer.status == 404:
        push = f"docker push {image.host}/{image.repository}:TAG"
        yield problem(
            "image", f"{name} does not exist.", f"Build it and push it ({push}), then name its digest in {subject.runtime}."
        )
    elif answer.status in (401, 403):
        yield problem(
            "image",
            f"{cloud.account} may not read {name}, or it does not exist (HTTP {answer.status}).",
            f"Grant it on the registry's project: gcloud projects add-iam-policy-binding {image.project} "
            f"--member={member(cloud.account)} --role=roles/artifactregistry.reader",
        )
    else:
        yield problem("image", f"{name} cannot be looked at: {answer.message}.", "Look again in a minute.")
    yield from _judge_pin(image, answer.headers.get(_DIGEST_HEADER), subject)
    yield from _judge_project(image, subject)


def _judge_project(image: Image, subject: Subject) -> Iterator[Finding]:
    """Say what is not seen of an image of another project: there, who runs it reads nothing unless it is granted."""
    runtime = subject.vertex
    if image.project == runtime.project:
        return
    readers = [f"service-NUMBER@{agent}.iam.gserviceaccount.com" for agent in _READERS]
    if flow := runtime.dataflow:
        readers.append(flow.service_account or runtime.service_account or "NUMBER-compute@developer.gserviceaccount.com")
    grant = f"gcloud projects add-iam-policy-binding {image.project} --role=roles/artifactregistry.reader --member="
    yield warning(
        "image",
        f"Not checked: whether Vertex AI{' and the workers of Dataflow' if flow else ''} may read it in {image.project}, which "
        f"is another project than {runtime.project}.",
        f"Grant it, where NUMBER is that of {runtime.project}: {'; '.join(grant + member(reader) for reader in readers)}",
    )


def _judge_pin(image: Image, digest: str | None, subject: Subject) -> Iterator[Finding]:
    if image.is_pinned:
        yield ok("image", "pinned by its digest")
        return
    name = f"{image.host}/{image.repository}"
    known = digest or "sha256:DIGEST"
    ask = "" if digest else f" `gcloud artifacts docker images describe {name}:{image.reference}` shows it."
    yield warning(
        "image",
        f"{subject.vertex.image} is named by its tag, which somebody may move: cached results would then be of other code.",
        f"In {subject.runtime} write `image: {name}@{known}`.{ask}",
    )
