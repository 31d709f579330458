"""What the doctor says of a Vertex runtime, against a small Google of our own that speaks the real wire formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_google import ACCOUNT, DIGEST, PERMISSIONS, FakeGoogle, error, fake_google

from pipeline.doctor import checks
from pipeline.doctor.findings import Finding
from pipeline.doctor.image import Image, parse_image
from pipeline.doctor.subject import Endpoints, Subject

IMAGE = "europe-west4-docker.pkg.dev/my-project/pipelines/tfx-pipeline"
NOWHERE = "http://127.0.0.1:9"
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
SERVICES = [f"{name}.googleapis.com" for name in ("aiplatform", "storage", "dataflow", "compute", "artifactregistry")]
GRANT = f"gcloud storage buckets add-iam-policy-binding gs://my-bucket --member=serviceAccount:{ACCOUNT} --role="


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """One where all is well, and credentials for it."""
    with fake_google() as google:
        google.answers = {
            BUCKET: (200, {"location": "EUROPE-WEST4", "locationType": "region"}),
            RIGHTS: (200, {"kind": "storage#testIamPermissionsResponse", "permissions": PERMISSIONS}),
            MANIFEST: (200, {"digest": DIGEST}),
        }
        google.answers |= {service_path(name): (200, {"state": "ENABLED"}) for name in SERVICES}
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.credentials_file(tmp_path)))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        # google-auth asks Google, on a thread of its own, where the account may work: that must not leave this machine.
        monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
        yield google


def service_path(name: str) -> str:
    return f"GET /v1/projects/my-project/services/{name}"


def look(google: FakeGoogle, folder: Path, *names: str, config: Path | None = None, **values: object) -> list[Finding]:
    """Make some of the checks of a runtime that differs from VALUES."""
    path = folder / "vertex.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (VALUES | values).items() if value is not None}))
    endpoints = Endpoints(google.url, google.url, google.url)
    subject = Subject(config=config, runtime=path, endpoints=endpoints)
    return [finding for name in names or CLOUD_CHECKS for finding in checks.CHECKS[name].look(subject)]


def test_a_cloud_where_all_is_well(google: FakeGoogle, tmp_path: Path, repository: Path) -> None:
    found = look(google, tmp_path, config=repository / "configs" / "taxi.yaml")
    assert {finding.state for finding in found} == {"ok"}
    assert [(finding.check, finding.found) for finding in found] == [
        ("runtime", f"{tmp_path}/vertex.yaml: project my-project, europe-west4, gs://my-bucket"),
        (
            "runtime",
            "containers read the data at /opt/venv/lib/python3.10/site-packages/tfx/examples/chicago_taxi_pipeline/data/"
            "big_tipper_label/data.csv",
        ),
        ("credentials", f"Google takes those of {ACCOUNT}"),
        ("bucket", "gs://my-bucket is in europe-west4"),
        ("bucket", f"{ACCOUNT} may read, write and delete in gs://my-bucket"),
        ("services", f"my-project has enabled {', '.join(SERVICES)}"),
        ("image", f"{IMAGE}@{DIGEST} exists"),
        ("image", "pinned by its digest"),
    ]


def test_what_is_asked_is_what_the_apis_document(google: FakeGoogle, tmp_path: Path) -> None:
    look(google, tmp_path)
    asked = [f"{method} {path}" for method, path, _, _ in google.requests]
    assert asked == [BUCKET, RIGHTS, *map(service_path, SERVICES), MANIFEST]
    queries = [query for _, _, query, _ in google.requests]
    assert queries[:2] == [{"fields": ["location,locationType"]}, {"permissions": PERMISSIONS}]
    accepted = google.requests[-1][3]["accept"].split(", ")
    assert "application/vnd.oci.image.index.v1+json" in accepted
    assert "application/vnd.docker.distribution.manifest.v2+json" in accepted


def test_a_runtime_file_with_mistakes_is_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    (found,) = look(google, tmp_path, "runtime", region="europe", image=f"{IMAGE}:latest")
    assert (found.check, found.state) == ("runtime", "problem")
    assert "region: string should match pattern" in found.found
    assert f"image: '{IMAGE}:latest' is mutable: Vertex would reuse old results." in found.found
    assert found.cure == f"Correct {tmp_path}/vertex.yaml; configs/runtime/vertex.example.yaml shows every key."


def test_data_of_this_machine_are_out_of_the_clouds_reach(google: FakeGoogle, tmp_path: Path) -> None:
    config = tmp_path / "mini.yaml"
    values = {
        "name": "mini",
        "task": "tabular",
        "data": {"path": "data.csv"},
        "label": {"kind": "binary", "column": "tipped"},
        "features": {"fare": {"kind": "numeric"}},
        "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
    }
    config.write_text(yaml.safe_dump(values))
    _, found = look(google, tmp_path, "runtime", config=config)
    assert found == Finding(
        "runtime",
        "problem",
        "data.path: 'data.csv' lies on this machine, out of Vertex's reach. Copy it to gs://my-bucket and name that.",
        "gcloud storage cp -r data.csv gs://my-bucket/mini/data/",
    )


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.mark.usefixtures("google", "no_credentials")
def test_missing_credentials_are_a_problem_and_nothing_else_is_asked(google: FakeGoogle, tmp_path: Path) -> None:
    (found,) = look(google, tmp_path, "credentials")
    assert (found.check, found.state) == ("credentials", "problem")
    assert found.found.startswith("There are no Google credentials: Your default credentials were not found.")
    assert found.cure.startswith("Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS")
    assert google.requests == []


def test_a_key_file_that_is_not_there_is_named(google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    (found,) = look(google, tmp_path, "credentials")
    assert found.found == f"There are no Google credentials: File {tmp_path}/gone.json was not found."


def test_credentials_that_google_does_not_take_are_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    google.token_status = 400
    (found,) = look(google, tmp_path, "credentials")
    assert found.state == "problem"
    assert found.found == "Google does not take the credentials: invalid_grant: Invalid JWT Signature."


def test_without_a_network_the_finding_says_so(google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = google.credentials_file(tmp_path, token_url=f"{NOWHERE}/token")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    (found,) = look(google, tmp_path, "credentials")
    assert found.state == "problem"
    assert found.found == (
        "Google cannot be reached to check the credentials: ConnectionRefusedError: [Errno 111] Connection refused."
    )
    assert found.cure == "Check the network, the firewall, and HTTPS_PROXY if there is a proxy."


@pytest.mark.parametrize("check", ["bucket", "services", "image"])
def test_a_service_that_cannot_be_reached_is_named(google: FakeGoogle, tmp_path: Path, check: str) -> None:
    path = tmp_path / "vertex.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    (found,) = checks.CHECKS[check].look(Subject(runtime=path, endpoints=Endpoints(NOWHERE, NOWHERE, NOWHERE)))
    assert (found.check, found.state) == (check, "problem")
    assert found.found.startswith(f"{NOWHERE}/")
    assert found.found.endswith(" cannot be reached: ConnectionRefusedError: [Errno 111] Connection refused.")
    assert google.requests == []
    assert found.cure.startswith("Check the network")


def test_a_bucket_that_is_not_there_is_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[BUCKET] = error(404, "The specified bucket does not exist.")
    assert look(google, tmp_path, "bucket") == [
        Finding(
            "bucket",
            "problem",
            "gs://my-bucket does not exist.",
            "gcloud storage buckets create gs://my-bucket --project=my-project --location=europe-west4",
        )
    ]


def test_a_bucket_that_we_may_not_look_at_is_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[BUCKET] = error(403, "no storage.buckets.get access.")
    (found,) = look(google, tmp_path, "bucket")
    assert found.state == "problem"
    assert found.found == (
        f"{ACCOUNT} may not look at gs://my-bucket (HTTP 403: no storage.buckets.get access). It may also be somebody else's."
    )
    assert found.cure == f"{GRANT}roles/storage.admin; or name a bucket of your own."


def test_a_bucket_that_we_may_only_read_is_a_problem(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[RIGHTS] = (200, {"permissions": PERMISSIONS[2:]})
    _, found = look(google, tmp_path, "bucket")
    assert found == Finding(
        "bucket",
        "problem",
        f"{ACCOUNT} lacks storage.objects.create, storage.objects.delete on gs://my-bucket.",
        f"{GRANT}roles/storage.objectAdmin",
    )


def test_no_rights_at_all_come_as_a_document_without_any(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[RIGHTS] = (200, {"kind": "storage#testIamPermissionsResponse"})
    _, found = look(google, tmp_path, "bucket")
    assert found.found == f"{ACCOUNT} lacks {', '.join(PERMISSIONS)} on gs://my-bucket."


@pytest.mark.parametrize(
    ("location", "kind", "state", "found"),
    [
        (
            "US-CENTRAL1",
            "region",
            "problem",
            "us-central1, the pipeline runs in europe-west4: Vertex AI wants both in one region.",
        ),
        (
            "EU",
            "multi-region",
            "warning",
            "eu, the pipeline runs in europe-west4: reading across regions costs money, and time.",
        ),
    ],
)
def test_a_bucket_elsewhere(google: FakeGoogle, tmp_path: Path, location: str, kind: str, state: str, found: str) -> None:
    google.answers[BUCKET] = (200, {"location": location, "locationType": kind})
    first, second = look(google, tmp_path, "bucket")
    assert (first.state, first.found) == (state, f"gs://my-bucket is in {found}")
    assert first.cure.startswith(
        "Name a bucket in europe-west4: gcloud storage buckets create gs://NAME --location=europe-west4"
    )
    assert second.state == "ok"


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
    assert (found.state, found.found) == ("problem", f"{ACCOUNT} may not read {IMAGE}@{DIGEST} (HTTP 403).")
    assert found.cure.endswith("--role=roles/artifactregistry.reader")


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
        ("evil.example/x.pkg.dev/i:1", Image("evil.example", "x.pkg.dev/i", "1")),
    ],
)
def test_names_of_images_are_taken_apart(name: str, image: Image) -> None:
    assert parse_image(name) == image
    assert image.is_googles == image.host.endswith("gcr.io")
