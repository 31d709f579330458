"""What the doctor says of rights that lie in another project than the runtime's, or that it does not look at."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cloud_set_up import look
from fake_google import FakeGoogle

OWN = "tasks@my-project.iam.gserviceaccount.com"
FOREIGN = "tasks@accounts-project.iam.gserviceaccount.com"
POLICY, BUCKET_POLICY = "POST /v1/projects/my-project:getIamPolicy", "GET /storage/v1/b/my-bucket/iam"


@pytest.fixture
def all_granted(google: FakeGoogle) -> FakeGoogle:
    """A Google in which both accounts may do all but run queries."""
    members = [f"serviceAccount:{account}" for account in (OWN, FOREIGN)]
    for account in (OWN, FOREIGN):
        path = f"/v1/projects/{account.partition('@')[2].partition('.')[0]}/serviceAccounts/{account}"
        google.answers[f"GET {path}"] = (200, {"email": account})
        google.answers[f"POST {path}:testIamPermissions"] = (200, {"permissions": ["iam.serviceAccounts.actAs"]})
    permissions = ["aiplatform.customJobs.create", "aiplatform.artifacts.create", "bigquery.tables.getData"]
    permissions += [f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete")]
    google.answers |= {
        POLICY: (200, {"bindings": [{"role": "roles/ours", "members": members}]}),
        BUCKET_POLICY: (200, {}),
        "GET /v1/roles/ours": (200, {"includedPermissions": permissions}),
    }
    return google


def with_query(folder: Path, **data: str) -> Path:
    values = {
        "name": "small",
        "task": "tabular",
        "data": {"kind": "bigquery", "query": "SELECT * FROM rides.today", **data},
        "label": {"kind": "binary", "column": "tipped", "positive": 1},
        "features": {"fare": {"kind": "numeric"}},
        "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_account_of_another_project_is_not_seen_to_run_machines_here(all_granted: FakeGoogle, tmp_path: Path) -> None:
    states = [each.state for each in look(all_granted, tmp_path, "account", service_account=OWN, dataflow=None)]
    assert states == ["ok", "ok"]
    acting, unseen, rights = look(all_granted, tmp_path, "account", service_account=FOREIGN, dataflow=None)
    assert [acting.state, unseen.state, rights.state] == ["ok", "warning", "ok"]
    assert unseen.found == (f"Not checked: whether machines in my-project may run as {FOREIGN}, which is of another project.")
    assert "iam.disableCrossProjectServiceAccountUsage of accounts-project must not be enforced" in unseen.cure


def test_query_takes_a_dataset_for_its_result(all_granted: FakeGoogle, tmp_path: Path) -> None:
    """Beam makes one; roles/bigquery.jobUser runs queries, and cannot."""
    named = {"service_account": OWN, "dataflow": None, "config": with_query(tmp_path)}
    permissions = all_granted.answers["GET /v1/roles/ours"][1]["includedPermissions"]
    permissions.append("bigquery.jobs.create")
    *_, lacking = look(all_granted, tmp_path, "account", **named)
    assert lacking.state == "warning"
    assert "what tasks need of roles/bigquery.user." in lacking.found
    permissions.append("bigquery.datasets.create")
    assert [each.state for each in look(all_granted, tmp_path, "account", **named)] == ["ok", "ok"]


def test_rights_in_the_project_that_pays_for_the_query_are_not_seen(all_granted: FakeGoogle, tmp_path: Path) -> None:
    paying = with_query(tmp_path, project="paying-project")
    _, rights, unseen = look(all_granted, tmp_path, "account", service_account=OWN, dataflow=None, config=paying)
    assert (rights.state, unseen.state) == ("ok", "warning")
    assert unseen.found == (
        f"Not checked: whether {OWN} may run the query in paying-project, which is another project than my-project."
    )
    assert unseen.cure.startswith("gcloud projects add-iam-policy-binding paying-project --member=serviceAccount:tasks@")
    assert "--role=roles/bigquery.user; gcloud" in unseen.cure


def test_workers_that_the_default_account_starts_are_told_of(all_granted: FakeGoogle, tmp_path: Path) -> None:
    unnamed, *_, unchecked = look(all_granted, tmp_path, "account", dataflow={"service_account": OWN})
    assert unnamed.found.endswith("It is not looked at, nor whether you may act as it.")
    assert unchecked.state == "warning"
    assert unchecked.found.startswith(f"Not checked: whether NUMBER-compute@developer.gserviceaccount.com may act as {OWN}")
    assert f"add-iam-policy-binding {OWN} --member=serviceAccount:NUMBER-compute@" in unchecked.cure


def test_rights_on_a_topic_and_a_secret_are_not_seen(all_granted: FakeGoogle, tmp_path: Path) -> None:
    told = {"topic": "projects/my-project/topics/t", "webhook_secret": "projects/my-project/secrets/s"}
    *_, unseen = look(all_granted, tmp_path, "account", service_account=OWN, dataflow=None, notify=told)
    assert unseen.state == "warning"
    assert unseen.found == (
        f"Not checked: whether {told['topic']} and {told['webhook_secret']} exist, and {OWN} may use them to tell of a job's "
        "end."
    )
    assert unseen.cure.startswith(f"gcloud pubsub topics add-iam-policy-binding {told['topic']} ")
    assert unseen.cure.endswith("--role=roles/secretmanager.secretAccessor")
    assert "tell of a job's end" not in str(look(all_granted, tmp_path, "account", service_account=OWN, dataflow=None))
