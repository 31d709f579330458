"""What the doctor says of a Vertex runtime, against a small Google of our own that speaks the real wire formats."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cloud_set_up import BUCKET, GRANT, IMAGE, MANIFEST, RIGHTS, SERVICES, VALUES, look, service_path
from fake_google import ACCOUNT, DIGEST, NOWHERE, PERMISSIONS, FakeGoogle, error

from pipeline.doctor import checks
from pipeline.doctor.findings import Finding
from pipeline.doctor.subject import Endpoints, Subject
from pipeline.vertex.runtime import VertexRuntime


def test_a_cloud_where_all_is_well(google: FakeGoogle, tmp_path: Path, repository: Path) -> None:
    found = look(google, tmp_path, config=repository / "configs" / "taxi.yaml")
    assert {finding.state for finding in found} == {"ok"}
    assert [(finding.check, finding.found) for finding in found] == [
        ("runtime", f"{tmp_path}/vertex.yaml: project my-project, europe-west4, gs://my-bucket"),
        (
            "runtime",
            f"containers read the data at {VertexRuntime.model_construct(site_packages=None).packages_folder}/tfx/"
            "examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv",
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
        f"{ACCOUNT} may not look at gs://my-bucket (HTTP 403: no storage.buckets.get access). It may not exist, or be "
        "somebody else's."
    )
    assert found.cure == f"{GRANT}roles/storage.admin; or make or name a bucket of your own."


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
