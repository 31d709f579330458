"""What the doctor says of networks, TensorBoard and keys, and of services that cannot be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud_set_up import look
from fake_google import FakeGoogle, error

PLACE = "projects/my-project/locations/europe-west4"
ATTACHMENT = "projects/my-project/regions/europe-west4/networkAttachments/a"
NETWORK = "projects/123/global/networks/vpc"
SUBNETWORK = "projects/my-project/regions/europe-west4/subnetworks/s"
TENSORBOARD = f"{PLACE}/tensorboards/7"
KEY = f"{PLACE}/keyRings/r/cryptoKeys/k"
DEFAULT = "projects/my-project/global/networks/default"
PRIVATE = {"subnetwork": "regions/europe-west4/subnetworks/s", "public_ips": False}
PEERED = {"peerings": [{"name": "servicenetworking-googleapis-com", "state": "ACTIVE"}]}


def test_networks_that_are_as_they_should_be(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers |= {
        f"GET /compute/v1/{ATTACHMENT}": (200, {"connectionPreference": "ACCEPT_AUTOMATIC"}),
        f"GET /compute/v1/{NETWORK}": (200, PEERED),
        f"GET /compute/v1/{SUBNETWORK}": (200, {"privateIpGoogleAccess": True}),
    }
    for network in ({"psc_attachment": ATTACHMENT}, {"name": NETWORK}):
        found = look(google, tmp_path, "network", network=network, dataflow=PRIVATE)
        assert [finding.state for finding in found] == ["ok", "ok"]
    assert look(google, tmp_path, "network", dataflow=None) == []
    google.answers[f"GET /compute/v1/{DEFAULT}"] = (200, {"autoCreateSubnetworks": True})
    (found,) = look(google, tmp_path, "network", dataflow={})
    assert (found.state, found.found) == ("ok", f"{DEFAULT} is there, for Dataflow's workers")
    listed = {"connectionPreference": "ACCEPT_MANUAL", "producerAcceptLists": ["p1", "p2"]}
    google.answers[f"GET /compute/v1/{ATTACHMENT}"] = (200, listed)
    (found,) = look(google, tmp_path, "network", network={"psc_attachment": ATTACHMENT}, dataflow=None)
    assert found.found == f"{ATTACHMENT} is there and accepts p1, p2; whether Vertex AI is one of them is not seen"


def test_reserved_ranges_of_a_peered_network(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers[f"GET /compute/v1/{NETWORK}"] = (200, PEERED)
    ranged: dict[str, Any] = {"network": {"name": NETWORK, "reserved_ip_ranges": ["jobs"]}, "dataflow": None}
    _, found = look(google, tmp_path, "network", **ranged)
    assert (found.state, found.found) == ("problem", "projects/123/global/addresses/jobs does not exist.")
    assert found.cure.startswith("gcloud compute addresses create jobs --project=123 --global ")
    google.answers["GET /compute/v1/projects/123/global/addresses/jobs"] = (200, {"purpose": "GCE_ENDPOINT"})
    assert "is reserved for GCE_ENDPOINT" in look(google, tmp_path, "network", **ranged)[1].found
    google.answers["GET /compute/v1/projects/123/global/addresses/jobs"] = (200, {"purpose": "VPC_PEERING"})
    assert [finding.state for finding in look(google, tmp_path, "network", **ranged)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("runtime", "answers", "state", "said", "cure"),
    [
        ({"network": {"psc_attachment": ATTACHMENT}}, {}, "problem", "does not exist", "network-attachments create a"),
        (
            {"network": {"psc_attachment": ATTACHMENT.replace("west4", "west1")}},
            {},
            "problem",
            "is in europe-west1, the pipeline runs in europe-west4",
            "--region=europe-west4",
        ),
        (
            {"network": {"psc_attachment": ATTACHMENT}},
            {ATTACHMENT: (200, {"connectionPreference": "ACCEPT_MANUAL"})},
            "warning",
            "lists none",
            "--producer-accept-list",
        ),
        ({"network": {"name": NETWORK}}, {NETWORK: (200, {})}, "problem", "is not peered", "gcloud services vpc-peerings"),
        ({"network": {"name": NETWORK}}, {NETWORK: error(403, "Denied.")}, "warning", "HTTP 403: Denied", "somebody"),
        (
            {"dataflow": PRIVATE},
            {},
            "problem",
            "does not exist",
            "gcloud compute networks subnets create s --project=my-project",
        ),
        ({"dataflow": {}}, {}, "problem", f"would run in {DEFAULT}, which does not exist", "dataflow: {subnetwork: regions/"),
        (
            {"dataflow": {}},
            {DEFAULT: (200, {})},
            "problem",
            "Dataflow has to be told which",
            "regions/europe-west4/subnetworks/",
        ),
        ({"dataflow": {}}, {DEFAULT: error(403, "Denied.")}, "warning", "HTTP 403: Denied", "somebody"),
        (
            {"dataflow": PRIVATE},
            {SUBNETWORK: (200, {})},
            "problem",
            "has no Private Google Access",
            "--enable-private-ip-google-access",
        ),
        (
            {"dataflow": {"subnetwork": "regions/us-east1/subnetworks/s"}},
            {},
            "problem",
            "is not in europe-west4",
            "subnetwork",
        ),
    ],
)
def test_network_that_no_job_could_use(
    google: FakeGoogle, tmp_path: Path, runtime: Any, answers: Any, state: str, said: str, cure: str
) -> None:
    google.answers |= {f"GET /compute/v1/{name}": answer for name, answer in answers.items()}
    (found,) = look(google, tmp_path, "network", **{"dataflow": None, **runtime})
    assert found.state == state
    assert said in found.found
    assert cure in found.cure


def test_tensorboard(google: FakeGoogle, tmp_path: Path) -> None:
    named = {"tensorboard": TENSORBOARD, "service_account": "tasks@my-project.iam.gserviceaccount.com"}
    assert look(google, tmp_path, "tensorboard") == []
    (found,) = look(google, tmp_path, "tensorboard", **named)
    assert (found.state, "gcloud ai tensorboards create" in found.cure) == ("problem", True)
    google.answers[f"GET /v1/{TENSORBOARD}"] = error(500, "Internal.")
    assert look(google, tmp_path, "tensorboard", **named)[0].state == "warning"
    google.answers[f"GET /v1/{TENSORBOARD}"] = (200, {"name": TENSORBOARD})
    assert [finding.state for finding in look(google, tmp_path, "tensorboard", **named)] == ["ok"]
    (_, lacking) = look(google, tmp_path, "tensorboard", tensorboard=TENSORBOARD)
    assert "need a service account" in lacking.found
    google.answers[f"GET /v1/{TENSORBOARD}"] = error(403, "Denied.")
    assert [each.state for each in look(google, tmp_path, "tensorboard", tensorboard=TENSORBOARD)] == ["warning", "problem"]


def test_key(google: FakeGoogle, tmp_path: Path) -> None:
    def states() -> list[str]:
        return [finding.state for finding in look(google, tmp_path, "key", encryption_key=KEY, dataflow=None)]

    assert states() == ["problem"]
    foreign = KEY.replace("my-project", "keys-project")
    (missing,) = look(google, tmp_path, "key", encryption_key=foreign, dataflow=None)
    assert missing.cure.startswith("gcloud kms keys create k --project=keys-project --keyring=r ")
    google.answers[f"GET /v1/{KEY}"] = (200, {"primary": {"state": "DISABLED", "name": f"{KEY}/cryptoKeyVersions/1"}})
    assert states() == ["problem"]
    google.answers[f"GET /v1/{KEY}"] = (200, {"purpose": "ENCRYPT_DECRYPT"})
    assert states() == ["problem"]
    google.answers[f"GET /v1/{KEY}"] = (200, {"primary": {"state": "ENABLED"}, "purpose": "ENCRYPT_DECRYPT"})
    assert states() == ["ok", "warning"]
    google.answers["GET /v1/projects/my-project"] = (200, {"projectNumber": "123"})
    google.answers[f"GET /v1/{KEY}:getIamPolicy"] = (200, {})
    assert states() == ["ok", "warning"]
    agent = "serviceAccount:service-123@gcp-sa-aiplatform.iam.gserviceaccount.com"
    binding = {"role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "members": [agent]}
    google.answers[f"GET /v1/{KEY}:getIamPolicy"] = (200, {"bindings": [binding]})
    assert states() == ["ok", "ok"]
    google.answers[f"GET /v1/{KEY}:getIamPolicy"] = (200, {"bindings": [binding | {"condition": {"expression": "false"}}]})
    assert states() == ["ok", "warning"]
    queries = [query for _, path, query, _ in google.requests if path.endswith(":getIamPolicy")]
    assert queries[-1] == {"options.requestedPolicyVersion": ["3"]}  # IAM hides conditions from whoever asks for less


def test_key_that_dataflow_encrypts_with_too(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers |= {
        f"GET /v1/{KEY}": (200, {"primary": {"state": "ENABLED"}, "purpose": "ENCRYPT_DECRYPT"}),
        "GET /v1/projects/my-project": (200, {"projectNumber": "123"}),
        f"GET /v1/{KEY}:getIamPolicy": (200, {}),
    }
    _, vertex, dataflow, disks = look(google, tmp_path, "key", encryption_key=KEY)
    assert {finding.state for finding in (vertex, dataflow, disks)} == {"warning"}
    assert "service-123@gcp-sa-aiplatform.iam.gserviceaccount.com" in vertex.cure
    assert "service-123@dataflow-service-producer-prod.iam.gserviceaccount.com" in dataflow.cure
    assert "service-123@compute-system.iam.gserviceaccount.com" in disks.cure


@pytest.mark.parametrize("check", ["rights", "account", "quota", "network", "tensorboard", "key"])
def test_service_that_cannot_be_reached_is_told(google: FakeGoogle, tmp_path: Path, check: str) -> None:
    from pipeline.doctor import checks
    from pipeline.doctor.subject import Endpoints, Subject

    account = "tasks@my-project.iam.gserviceaccount.com"
    named = {"tensorboard": TENSORBOARD, "service_account": account, "network": {"name": NETWORK}, "encryption_key": KEY}
    look(google, tmp_path, "runtime", stages={"default": {"machine_type": "e2-standard-4"}}, **named)
    subject = Subject(runtime=tmp_path / "vertex.yaml", endpoints=Endpoints.all_at("http://127.0.0.1:9"))
    (found,) = checks.CHECKS[check].look(subject)
    assert (found.check, found.state) == (check, "problem")
    assert "cannot be reached" in found.found
