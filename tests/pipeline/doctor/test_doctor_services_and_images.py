"""What the doctor says of APIs and container images, against a small Google of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cloud_set_up import IMAGE, MANIFEST, SERVICES, look, service_path
from fake_google import ACCOUNT, DIGEST, FakeGoogle, error

from pipeline.doctor.findings import Finding
from pipeline.doctor.image import Image, parse_image


def test_disabled_apis_are_named_together(google: FakeGoogle, tmp_path: Path) -> None:
    for name in ("aiplatform", "dataflow"):
        google.answers[service_path(f"{name}.googleapis.com")] = (200, {"state": "DISABLED"})
    first, second = look(google, tmp_path, "services")
    both = "aiplatform.googleapis.com"
    assert first == Finding(
        "services",
        "problem",
        f"my-project has not enabled {both}, dataflow.googleapis.com.",
        f"gcloud services enable {both} dataflow.googleapis.com --project=my-project",
    )
    others = "storage.googleapis.com, compute.googleapis.com, artifactregistry.googleapis.com"
    assert (second.state, second.found) == ("ok", f"my-project has enabled {others}")


def test_only_needed_apis_are_asked_for(google: FakeGoogle, tmp_path: Path) -> None:
    look(google, tmp_path, "services", dataflow=None, image=f"ghcr.io/me/pipeline@{DIGEST}")
    assert [path.rpartition("/")[2] for _, path, _, _ in google.requests] == [
        "aiplatform.googleapis.com",
        "storage.googleapis.com",
    ]


def test_apis_of_other_resources_are_asked_for_where_those_are_of_this_project(google: FakeGoogle, tmp_path: Path) -> None:
    def asked(project: str) -> list[str]:
        google.requests.clear()
        look(
            google,
            tmp_path,
            "services",
            dataflow=None,
            image=f"gcr.io/{project}/pipeline@{DIGEST}",
            encryption_key=f"projects/{project}/locations/europe-west4/keyRings/r/cryptoKeys/k",
            notify={"topic": f"projects/{project}/topics/t", "webhook_secret": f"projects/{project}/secrets/s"},
        )
        return [path.rpartition("/")[2].partition(".")[0] for _, path, _, _ in google.requests][2:]

    for service in ("cloudkms", "pubsub", "secretmanager"):
        google.answers[service_path(f"{service}.googleapis.com")] = (200, {"state": "ENABLED"})
    assert asked("my-project") == ["artifactregistry", "cloudkms", "pubsub", "secretmanager"]
    assert asked("other-project") == []


def test_what_is_known_of_apis_is_told_when_a_later_one_cannot_be(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[service_path(SERVICES[0])] = (200, {"state": "DISABLED"})
    google.answers[service_path(SERVICES[1])] = error(503, "Backend.")
    unknown, disabled = look(google, tmp_path, "services")
    assert (unknown.state, disabled.state) == ("warning", "problem")
    assert disabled.found == f"my-project has not enabled {SERVICES[0]}."


def test_apis_that_cannot_be_told_are_a_warning(google: FakeGoogle, tmp_path: Path) -> None:
    first = service_path(SERVICES[0])
    google.answers[first] = error(403, "Service Usage API has not been used in project 1 before.", "SERVICE_DISABLED")
    (found,) = look(google, tmp_path, "services")
    assert (found.state, found.cure) == ("warning", "gcloud services enable serviceusage.googleapis.com --project=my-project")
    google.answers[first] = error(403, "Permission denied to get service.", "AUTH_PERMISSION_DENIED")
    (found,) = look(google, tmp_path, "services")
    assert found.state == "warning"
    assert found.found == "Which APIs my-project has enabled cannot be told: HTTP 403: Permission denied to get service."
    assert f"--member=serviceAccount:{ACCOUNT} --role=roles/serviceusage.serviceUsageViewer" in found.cure


def test_an_image_that_is_not_there_is_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[MANIFEST] = (404, {})
    found, pinned = look(google, tmp_path, "image")
    assert (found.state, found.found) == ("problem", f"{IMAGE}@{DIGEST} does not exist.")
    assert found.cure == (f"Build it and push it (docker push {IMAGE}:TAG), then name its digest in {tmp_path}/vertex.yaml.")
    assert pinned.state == "ok"


def test_an_image_that_we_may_not_read_is_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[MANIFEST] = (403, {})
    found, _ = look(google, tmp_path, "image")
    assert (found.state, found.found) == (
        "problem",
        f"{ACCOUNT} may not read {IMAGE}@{DIGEST}, or it does not exist (HTTP 403).",
    )
    assert found.cure.endswith("--role=roles/artifactregistry.reader")


def test_an_image_of_another_project_is_not_vertex_ais_to_read(google: FakeGoogle, tmp_path: Path) -> None:
    manifest, name = (text.replace("my-project", "images-project") for text in (MANIFEST, f"{IMAGE}@{DIGEST}"))
    google.answers[manifest] = (200, {"digest": DIGEST})
    exists, _, unseen = look(google, tmp_path, "image", image=name)
    assert (exists.state, unseen.state) == ("ok", "warning")
    assert unseen.found == (
        "Not checked: whether Vertex AI and the workers of Dataflow may read it in images-project, which is another project "
        "than my-project."
    )
    assert "gcloud projects add-iam-policy-binding images-project --role=roles/artifactregistry.reader" in unseen.cure
    assert "--member=serviceAccount:service-NUMBER@gcp-sa-aiplatform.iam.gserviceaccount.com; gcloud" in unseen.cure
    assert unseen.cure.endswith("--member=serviceAccount:NUMBER-compute@developer.gserviceaccount.com")
    google.answers[manifest] = (403, {})
    refused, _, _ = look(google, tmp_path, "image", image=name)
    assert "gcloud projects add-iam-policy-binding images-project --member=" in refused.cure


def test_an_image_named_by_a_tag_is_a_warning_that_knows_the_digest(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers["HEAD /v2/my-project/pipelines/tfx-pipeline/manifests/v7"] = (200, {"digest": DIGEST})
    exists, unpinned = look(google, tmp_path, "image", image=f"{IMAGE}:v7")
    assert (exists.state, exists.found) == ("ok", f"{IMAGE}:v7 exists")
    assert unpinned == Finding(
        "image",
        "warning",
        f"{IMAGE}:v7 is named by its tag, which somebody may move: cached results would then be of other code.",
        f"In {tmp_path}/vertex.yaml write `image: {IMAGE}@{DIGEST}`.",
    )


def test_credentials_are_shown_to_no_registry_but_googles(google: FakeGoogle, tmp_path: Path) -> None:
    pin, unseen = look(google, tmp_path, "image", image="ghcr.io/me/pipeline:v7")
    assert [pin.state, unseen.state] == ["warning", "warning"]
    assert pin.cure.startswith(f"In {tmp_path}/vertex.yaml write `image: ghcr.io/me/pipeline@sha256:DIGEST`. ")
    assert unseen.found == "ghcr.io/me/pipeline:v7 is not looked at: ghcr.io is none of Google's registries."
    assert google.requests == []


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("eu.gcr.io/p/i:v1", Image("eu.gcr.io", "p/i", "v1")),
        (f"gcr.io/p/i:v1@{DIGEST}", Image("gcr.io", "p/i", DIGEST)),
        ("localhost:5000/i", Image("localhost:5000", "i", "latest")),
        ("library/python:3.10", Image("docker.io", "library/python", "3.10")),
        ("gcr.io/example.com/p/i:v1", Image("gcr.io", "example.com/p/i", "v1")),
        ("evil.example/x.pkg.dev/i:1", Image("evil.example", "x.pkg.dev/i", "1")),
    ],
)
def test_names_of_images_are_taken_apart(name: str, image: Image) -> None:
    assert parse_image(name) == image
    assert image.is_googles == image.host.endswith("gcr.io")
    assert not image.is_googles or image.project in ("p", "example.com:p")
