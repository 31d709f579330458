"""A pushed model becomes a version, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.api_core import exceptions
from served_models import ModelService

from pipeline.registering import Pushed, Registry, describe, label_value
from pipeline.vertex import registry
from pipeline.vertex.registry import Registered
from pipeline.vertex.serving_api import ServingApi, ServingError, explain

LOCATION = "projects/my-project/locations/europe-west4"
TAXI = f"{LOCATION}/models/taxi"


def test_first_push_makes_the_parent_and_the_next_a_version_of_it(
    service: ModelService, push: Callable[..., Registered]
) -> None:
    assert push(1) == Registered(TAXI, "1", "uploaded")
    assert push(2) == Registered(TAXI, "2", "uploaded")
    first, second = service.sent("UploadModel")
    assert first["modelId"] == "taxi"
    assert "parentModel" not in first
    assert second["parentModel"] == TAXI
    assert first["serviceAccount"] == "pipeline@my-project.iam.gserviceaccount.com"
    assert first["model"] == {
        "displayName": "taxi",
        "artifactUri": "gs://my-bucket/taxi/pushed/saved_model/1",
        "containerSpec": {"imageUri": "europe-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"},
        "labels": {
            "team": "taxi",
            "pipeline": "taxi",
            "run": "taxi-run-1",
            "content": "1" + "0" * 31,
            "weights": "1" + "0" * 31,
        },
        "versionAliases": ["candidate"],
        "versionDescription": "auc 0.91",
    }
    assert [list(model.version_aliases) for model in service.versions[TAXI]] == [["default"], ["candidate"]]


def test_retry_makes_no_second_version_and_mends_the_alias(service: ModelService, push: Callable[..., Registered]) -> None:
    push(1)
    service.versions[TAXI][0].version_aliases = ["default"]
    assert push(1) == Registered(TAXI, "1", "version 1 holds the same files already")
    assert service.changes == ["UploadModel", "MergeVersionAliases"]
    assert list(service.versions[TAXI][0].version_aliases) == ["candidate", "default"]


def test_weights_that_were_withdrawn_are_not_registered_again(
    service: ModelService, push: Callable[..., Registered], place: Registry
) -> None:
    push(1)
    api = ServingApi(LOCATION)
    registry.label(api, registry.versions_of(api, TAXI)[0], {"withdrawn": "20260101t000000z"}, "Withdrawn: it drifts.")
    again = push(2, weights=f"{1:064x}"[::-1])
    why = "version 1 has the same weights, and a rollback withdrew it: Withdrawn: it drifts. auc 0.91"
    assert again == Registered("", "", why)
    assert len(service.sent("UploadModel")) == 1


def test_parent_that_another_run_makes_meanwhile_gets_the_version(
    service: ModelService, push: Callable[..., Registered], place: Registry
) -> None:
    def other_run(method: str) -> None:
        if method == "UploadModel":
            service.before = lambda _: None
            push(7)

    service.before = other_run
    assert push(1).version == "2"
    assert [len(versions) for versions in service.versions.values()] == [2]


def test_refused_upload_names_the_role(service: ModelService, push: Callable[..., Registered]) -> None:
    service.fail_next("UploadModel", 403, "Permission 'aiplatform.models.upload' denied")
    with pytest.raises(exceptions.Forbidden) as caught:
        push(1)
    assert explain(caught.value, LOCATION, None) == (
        "Vertex AI refuses (HTTP 403): Permission 'aiplatform.models.upload' denied. "
        "Grant: gcloud projects add-iam-policy-binding my-project "
        "--member=user:YOUR_EMAIL --role=roles/aiplatform.user (a pipeline's service account: --member=serviceAccount:ACCOUNT)"
    )


def test_upload_that_fails_on_its_way_makes_no_version(service: ModelService, push: Callable[..., Registered]) -> None:
    service.operations.fail("UploadModel", 9, "The model's folder is empty")
    with pytest.raises((exceptions.GoogleAPICallError, ServingError), match="The model's folder is empty"):
        push(1)
    assert service.versions == {}


@pytest.mark.parametrize(
    ("text", "label"),
    [("Taxi Run.1", "taxi-run-1"), ("2026-11-21T10-00-00Z", "2026-11-21t10-00-00z"), ("ä" * 80, ""), ("x" * 80, "x" * 63)],
)
def test_label_is_legal(text: str, label: str) -> None:
    assert label_value(text) == label


def test_description_is_one_line_of_metrics() -> None:
    assert describe({"loss": 0.25, "auc": 0.9412345678}, "job-1") == "auc 0.941235, loss 0.25; made by job-1"
    assert describe({}, "") == "no metrics; made by an unnamed run"


def test_labels_of_a_push_leave_out_what_is_unknown() -> None:
    pushed = Pushed("gs://b/1", "a" * 64, "b" * 64, {"run": "", "code": "12"}, "")
    assert pushed.labels == {"code": "12", "content": "a" * 32, "weights": "b" * 32}
