"""What the doctor says of rights: the caller's, and those of the account that tasks run as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud_set_up import CALLER_PERMISSIONS, PROJECT_RIGHTS, look
from fake_google import ACCOUNT, FakeGoogle, error

from pipeline.doctor.account import project_of

PIPELINE = "tasks@my-project.iam.gserviceaccount.com"
FOUND = f"GET /v1/projects/my-project/serviceAccounts/{PIPELINE}"
ACT_AS = f"POST /v1/projects/my-project/serviceAccounts/{PIPELINE}:testIamPermissions"
POLICY, BUCKET_POLICY = "POST /v1/projects/my-project:getIamPolicy", "GET /storage/v1/b/my-bucket/iam"
USER = ["aiplatform.customJobs.create", "aiplatform.artifacts.create"]
OBJECTS = [f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete")]


def policy(*roles: str, member: str = f"serviceAccount:{PIPELINE}", **fields: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"bindings": [{"role": role, "members": ["user:me@example.com", member]} | fields for role in roles]}


@pytest.fixture
def granted(google: FakeGoogle) -> FakeGoogle:
    """A Google in which the account has all it needs."""
    google.answers |= {
        FOUND: (200, {"email": PIPELINE}),
        ACT_AS: (200, {"permissions": ["iam.serviceAccounts.actAs"]}),
        POLICY: policy("roles/aiplatform.user", "projects/my-project/roles/ours"),
        BUCKET_POLICY: policy("roles/storage.objectAdmin"),
        "GET /v1/roles/aiplatform.user": (200, {"includedPermissions": USER}),
        "GET /v1/projects/my-project/roles/ours": (
            200,
            {"includedPermissions": ["dataflow.jobs.create", "dataflow.workItems.lease"]},
        ),
        "GET /v1/roles/storage.objectAdmin": (200, {"includedPermissions": OBJECTS}),
    }
    return google


def test_rights_of_the_caller(google: FakeGoogle, tmp_path: Path) -> None:
    assert [finding.state for finding in look(google, tmp_path, "rights")] == ["ok", "ok"]
    assert google.bodies == [{"permissions": CALLER_PERMISSIONS}]
    google.answers[PROJECT_RIGHTS] = (200, {"permissions": ["aiplatform.pipelineJobs.get", "aiplatform.pipelineJobs.list"]})
    first, second = look(google, tmp_path, "rights")
    assert first.state == "problem"
    assert "it lacks aiplatform.pipelineJobs.create, aiplatform.pipelineJobs.cancel." in first.found
    assert first.cure == (
        f"gcloud projects add-iam-policy-binding my-project --member=serviceAccount:{ACCOUNT} --role=roles/aiplatform.user"
    )
    assert (second.state, "cannot schedule them" in second.found) == ("warning", True)
    google.answers[PROJECT_RIGHTS] = error(429, "Too many requests.")
    (found,) = look(google, tmp_path, "rights")
    assert (found.state, "HTTP 429: Too many requests." in found.found) == ("warning", True)


def test_account_that_has_all_it_needs_by_any_role(granted: FakeGoogle, tmp_path: Path) -> None:
    first, second = look(granted, tmp_path, "account", service_account=PIPELINE)
    assert (first.state, first.found) == ("ok", f"{ACCOUNT} may act as {PIPELINE}")
    assert (second.state, second.found) == ("ok", f"{PIPELINE} has the rights that tasks need")


def test_what_is_not_granted_is_named_with_its_cure(granted: FakeGoogle, tmp_path: Path) -> None:
    granted.answers[POLICY] = policy("roles/aiplatform.user")
    granted.answers[BUCKET_POLICY] = policy("roles/storage.objectAdmin", member="group:all@example.com")
    found = look(granted, tmp_path, "account", service_account=PIPELINE)[-1]
    assert found.state == "warning"
    assert "roles/dataflow.developer, roles/dataflow.worker, roles/storage.objectAdmin on the bucket." in found.found
    assert "A group, a folder or the organization may grant it" in found.found
    assert f"--member=serviceAccount:{PIPELINE} --role=roles/dataflow.worker; gcloud storage buckets" in found.cure
    (ours,) = [path for _, path, _, _ in granted.requests if "roles" in path]
    assert ours == "/v1/roles/aiplatform.user"


def test_role_under_a_condition_does_not_count(granted: FakeGoogle, tmp_path: Path) -> None:
    granted.answers[POLICY] = policy("roles/aiplatform.user", condition={"expression": "request.time < timestamp('2020')"})
    found = look(granted, tmp_path, "account", service_account=PIPELINE, dataflow=None)[-1].found
    assert "not granted in my-project itself what tasks need of roles/aiplatform.user." in found
    assert found.endswith("Granted under a condition, and not counted: roles/aiplatform.user.")
    (version,) = [body["options"] for body in granted.bodies if body and "options" in body]
    assert version == {"requestedPolicyVersion": 3}  # IAM hides conditions from whoever asks for less
    (query,) = [query for _, path, query, _ in granted.requests if path.endswith("/b/my-bucket/iam")]
    assert query == {"optionsRequestedPolicyVersion": ["3"]}


@pytest.mark.parametrize(
    ("path", "answer", "state", "said", "cure"),
    [
        (FOUND, error(404, "Unknown."), "problem", "does not exist", "gcloud iam service-accounts create tasks"),
        (FOUND, (200, {"disabled": True}), "problem", "is disabled", "gcloud iam service-accounts enable"),
        (FOUND, error(503, "Backend."), "warning", "cannot be looked at: HTTP 503: Backend.", "in a minute"),
        (ACT_AS, (200, {}), "problem", "may not act as", "--role=roles/iam.serviceAccountUser"),
        (ACT_AS, error(403, "Denied."), "warning", "cannot be told: HTTP 403: Denied.", "--role=roles/iam.serviceAccountUser"),
        (POLICY, error(403, "Denied."), "warning", "cannot be told: HTTP 403: Denied.", "gcloud projects get-iam-policy"),
    ],
)
def test_account_that_cannot_be_used_or_told_of(
    granted: FakeGoogle, tmp_path: Path, path: str, answer: Any, state: str, said: str, cure: str
) -> None:
    granted.answers[path] = answer
    found = next(f for f in look(granted, tmp_path, "account", service_account=PIPELINE) if f.state != "ok")
    assert found.state == state
    assert said in found.found
    assert cure in found.cure


def test_no_account_is_a_warning(google: FakeGoogle, tmp_path: Path) -> None:
    (found,) = look(google, tmp_path, "account")
    assert (found.state, "default Compute Engine account" in found.found) == ("warning", True)
    assert google.requests == []


def test_account_that_may_not_be_seen_may_not_exist(granted: FakeGoogle, tmp_path: Path) -> None:
    granted.answers[FOUND] = error(403, "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).")
    unseen, acting, rights = look(granted, tmp_path, "account", service_account=PIPELINE)
    assert unseen.state == "warning"
    assert unseen.found == (
        f"Whether {PIPELINE} is there could not be checked: HTTP 403: Permission 'iam.serviceAccounts.get' denied on resource "
        f"(or it may not exist). It may not exist, or {ACCOUNT} lacks iam.serviceAccounts.get."
    )
    assert "projects add-iam-policy-binding my-project" in unseen.cure
    assert "--role=roles/iam.serviceAccountViewer; if it does not exist: gcloud iam service-accounts create" in unseen.cure
    assert [acting.state, rights.state] == ["ok", "ok"]


def test_default_account_of_compute_engine_names_no_project(granted: FakeGoogle, tmp_path: Path) -> None:
    default = "123-compute@developer.gserviceaccount.com"
    unseen, acting, _ = look(granted, tmp_path, "account", service_account=default)
    assert (unseen.state, acting.state) == ("warning", "warning")
    assert f"It may not exist, or {ACCOUNT} lacks iam.serviceAccounts.get." in unseen.found
    assert "enable the API of Compute Engine" in unseen.cure
    granted.answers[f"GET /v1/projects/123/serviceAccounts/{default}"] = (200, {"email": default})
    granted.answers[f"POST /v1/projects/123/serviceAccounts/{default}:testIamPermissions"] = granted.answers[ACT_AS]
    acting, _ = look(granted, tmp_path, "account", service_account=default)
    assert (acting.state, acting.found) == ("ok", f"{ACCOUNT} may act as {default}")


@pytest.mark.parametrize(
    ("account", "project"),
    [
        (PIPELINE, "my-project"),
        ("tasks@my-project.example.com.iam.gserviceaccount.com", "example.com:my-project"),
        ("my-project@appspot.gserviceaccount.com", "my-project"),
        ("123-compute@developer.gserviceaccount.com", None),
    ],
)
def test_project_of_an_account(account: str, project: str | None) -> None:
    assert project_of(account) == project


def test_policy_of_the_bucket_that_may_not_be_read_is_told(granted: FakeGoogle, tmp_path: Path) -> None:
    granted.answers[BUCKET_POLICY] = error(403, "Denied.")
    (found,) = look(granted, tmp_path, "account", service_account=PIPELINE)[1:]
    assert found.state == "warning"
    assert found.found == (
        f"What {PIPELINE} may do in gs://my-bucket cannot be told: HTTP 403: Denied. It takes storage.buckets.getIamPolicy."
    )
    assert found.cure.startswith("Have somebody look who may: gcloud storage buckets get-iam-policy gs://my-bucket ")
    granted.answers["GET /v1/projects/my-project/roles/ours"][1]["includedPermissions"] += OBJECTS  # the project grants it all
    assert [each.state for each in look(granted, tmp_path, "account", service_account=PIPELINE)] == ["ok", "ok"]


def test_bucket_is_looked_at_where_the_project_may_not_be(granted: FakeGoogle, tmp_path: Path) -> None:
    granted.answers |= {POLICY: error(403, "Denied."), BUCKET_POLICY: (200, {})}
    _, project, bucket = look(granted, tmp_path, "account", service_account=PIPELINE)
    assert project.found.endswith("cannot be told: HTTP 403: Denied. It takes resourcemanager.projects.getIamPolicy.")
    assert "what tasks need of roles/storage.objectAdmin on the bucket." in bucket.found


def test_role_that_may_not_be_read_is_told(granted: FakeGoogle, tmp_path: Path) -> None:
    granted.answers["GET /v1/projects/my-project/roles/ours"] = error(403, "Denied.")
    found = look(granted, tmp_path, "account", service_account=PIPELINE)[-1]
    assert found.state == "warning"
    assert "could not be checked, it takes iam.roles.get: projects/my-project/roles/ours (HTTP 403: Denied)." in found.found


def test_account_of_dataflows_workers_is_looked_at_too(granted: FakeGoogle, tmp_path: Path) -> None:
    workers = "workers@my-project.iam.gserviceaccount.com"
    flow = {"service_account": workers}
    _, tasks, missing, unchecked = look(granted, tmp_path, "account", service_account=PIPELINE, dataflow=flow)
    assert tasks.found == f"{PIPELINE} has the rights that tasks need"
    assert (missing.state, missing.found) == ("problem", f"{workers} does not exist.")
    assert (unchecked.state, unchecked.found.startswith("Not checked: whether")) == ("warning", True)
    assert f"add-iam-policy-binding {workers} --member=serviceAccount:{PIPELINE}" in unchecked.cure
    granted.answers[FOUND.replace(PIPELINE, workers)] = (200, {"email": workers})
    _, _, rights, _ = look(granted, tmp_path, "account", service_account=PIPELINE, dataflow=flow)
    assert "what tasks need of roles/dataflow.worker, roles/storage.objectAdmin on the bucket." in rights.found
