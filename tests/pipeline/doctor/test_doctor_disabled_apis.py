"""What the doctor says where the API that it asks is disabled: Google answers 403, and no role would help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud_set_up import PROJECT_RIGHTS, SERVICES, look, service_path
from fake_google import FakeGoogle, error

ACCOUNT = "tasks@my-project.iam.gserviceaccount.com"
ACCOUNT_PATH = f"/v1/projects/my-project/serviceAccounts/{ACCOUNT}"
PLACE = "projects/my-project/locations/europe-west4"
KEY = f"{PLACE}/keyRings/r/cryptoKeys/k"
CPUS = "aiplatform.googleapis.com%2Fcustom_model_training_cpus"
QUOTA = f"GET /v1beta1/projects/my-project/services/aiplatform.googleapis.com/consumerQuotaMetrics/{CPUS}"


def disabled(service: str, project: str = "123") -> tuple[int, dict[str, Any]]:
    text = f"{service} has not been used in project {project} before or it is disabled."
    return error(403, text, "SERVICE_DISABLED", service=f"{service}.googleapis.com", consumer=f"projects/{project}")


@pytest.mark.parametrize(
    ("check", "path", "service", "runtime"),
    [
        ("services", service_path(SERVICES[0]), "serviceusage", {}),
        ("rights", PROJECT_RIGHTS, "cloudresourcemanager", {}),
        ("account", f"GET {ACCOUNT_PATH}", "iam", {"service_account": ACCOUNT}),
        ("account", f"POST {ACCOUNT_PATH}:testIamPermissions", "iam", {"service_account": ACCOUNT}),
        ("account", "POST /v1/projects/my-project:getIamPolicy", "cloudresourcemanager", {"service_account": ACCOUNT}),
        ("quota", QUOTA, "serviceusage", {}),
        ("network", "GET /compute/v1/projects/my-project/global/networks/default", "compute", {}),
        ("tensorboard", f"GET /v1/{PLACE}/tensorboards/7", "aiplatform", {"tensorboard": f"{PLACE}/tensorboards/7"}),
        ("key", f"GET /v1/{KEY}", "cloudkms", {"encryption_key": KEY}),
        ("key", "GET /v1/projects/my-project", "cloudresourcemanager", {"encryption_key": KEY}),
    ],
)
def test_the_cure_enables_the_api_and_grants_nothing(
    google: FakeGoogle, tmp_path: Path, check: str, path: str, service: str, runtime: dict[str, Any]
) -> None:
    google.answers |= {
        f"GET {ACCOUNT_PATH}": (200, {}),
        f"POST {ACCOUNT_PATH}:testIamPermissions": (200, {"permissions": ["iam.serviceAccounts.actAs"]}),
        "POST /v1/projects/my-project:getIamPolicy": (200, {}),
        "GET /storage/v1/b/my-bucket/iam": (200, {}),
        f"GET /v1/{KEY}": (200, {"primary": {"state": "ENABLED"}}),
        f"GET /v1/{KEY}:getIamPolicy": (200, {}),
    }
    google.answers[path] = disabled(service)
    told = next(each for each in look(google, tmp_path, check, **runtime) if "has not been used" in each.found)
    assert told.state == "warning"
    assert told.cure == f"gcloud services enable {service}.googleapis.com --project=123"
    assert "It may not exist" not in told.found
    assert "It takes " not in told.found


def test_a_user_who_named_no_project_is_told_to_name_one(google: FakeGoogle, tmp_path: Path) -> None:
    """Google counts such requests as those of gcloud's own project, in which nobody else can enable anything."""
    google.answers[PROJECT_RIGHTS] = disabled("cloudresourcemanager", "764086051850")
    (told,) = look(google, tmp_path, "rights")
    assert told.cure == (
        "gcloud auth application-default set-quota-project PROJECT, one that has enabled it: none is named yet."
    )


def test_role_that_cannot_be_read_for_another_reason_takes_no_right(google: FakeGoogle, tmp_path: Path) -> None:
    google.answers |= {
        f"GET {ACCOUNT_PATH}": (200, {}),
        "POST /v1/projects/my-project:getIamPolicy": (
            200,
            {"bindings": [{"role": "roles/editor", "members": [f"serviceAccount:{ACCOUNT}"]}]},
        ),
        "GET /v1/roles/editor": error(503, "Backend."),
    }
    *_, found = look(google, tmp_path, "account", service_account=ACCOUNT)
    assert found.found.endswith("What these roles of it allow could not be checked: roles/editor (HTTP 503: Backend).")
