"""Deploy, promote, roll back: what the commands ask of the service, and what they leave when something fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from served_models import ModelService

from pipeline.vertex import serving_commands
from pipeline.vertex.registry import Registered
from pipeline.vertex.serving_commands import CheckOptions
from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.traffic import with_canary

TAXI = "projects/my-project/locations/europe-west4/models/taxi"
UNCHECKED = CheckOptions(None, None, None)
Push = Callable[..., Registered]


def test_first_version_gets_an_endpoint_and_all_traffic(service: ModelService, push: Push, deploy: Callable[..., int]) -> None:
    push(1)
    assert deploy() == 0
    assert service.split == {"1": 100}
    (made,) = service.sent("CreateEndpoint")
    assert made == {"displayName": "taxi-online", "labels": {"team": "taxi"}}
    (asked,) = service.sent("DeployModel")
    assert asked == {
        "deployedModel": {
            "model": f"{TAXI}@1",
            "displayName": "taxi-1",
            "dedicatedResources": {
                "machineSpec": {"machineType": "n1-standard-2"},
                "minReplicaCount": 1,
                "maxReplicaCount": 3,
            },
            "serviceAccount": "pipeline@my-project.iam.gserviceaccount.com",
        },
        "trafficSplit": {"0": 100},
    }


@pytest.mark.usefixtures("champion")
def test_canary_gets_its_percent_and_the_champion_the_rest(service: ModelService, deploy: Callable[..., int]) -> None:
    assert deploy() == 0
    assert service.split == {"1": 90, "2": 10}
    assert len(service.served) == 1
    assert deploy(None, 30) == 0, "a deployed version only gets another share"
    assert service.split == {"1": 70, "2": 30}
    assert len(service.sent("DeployModel")) == 2


@pytest.mark.parametrize(
    ("now", "percent", "then"),
    [
        ({}, 10, {"c": 100}),
        ({"a": 100}, 10, {"a": 90, "c": 10}),
        ({"a": 100}, 0, {"a": 100}),
        ({"a": 100}, 100, {"c": 100}),
        ({"a": 34, "b": 66}, 10, {"a": 31, "b": 59, "c": 10}),
        ({"a": 33, "b": 33, "d": 34}, 50, {"a": 17, "b": 16, "d": 17, "c": 50}),
        ({"a": 1, "c": 99}, 10, {"a": 90, "c": 10}),
    ],
)
def test_split_sums_to_100(now: dict[str, int], percent: int, then: dict[str, int]) -> None:
    assert with_canary(now, "c", percent) == then
    assert sum(then.values()) == 100


@pytest.mark.usefixtures("champion")
def test_promotion_moves_traffic_and_aliases_and_keeps_the_champion_before(
    service: ModelService, deploy: Callable[..., int], promote: Callable[..., int], push: Push
) -> None:
    deploy()
    assert promote() == 0
    assert service.split == {"1": 0, "2": 100}
    assert service.aliases == [[], ["candidate", "champion", "default"]]
    push(3)
    deploy()
    assert promote() == 0
    assert service.split == {"2": 0, "3": 100}
    assert service.aliases == [[], [], ["candidate", "champion", "default"]]


@pytest.mark.usefixtures("champion")
def test_deployment_that_fails_leaves_the_traffic(
    service: ModelService, deploy: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    service.operations.polls = 3
    service.operations.fail("DeployModel", 3, "Model server never became ready")
    assert deploy() == 1
    assert "Model server never became ready" in capsys.readouterr().err
    assert service.split == {"1": 100}


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize(
    ("method", "code", "message", "cure"),
    [
        ("DeployModel", 429, "Quota exceeded for custom_model_serving_cpus", "Ask for more quota"),
        ("DeployModel", 403, "Permission 'aiplatform.endpoints.deploy' denied", "--role=roles/aiplatform.user"),
        ("DeployModel", 403, "Permission iam.serviceAccounts.actAs denied", "--role=roles/iam.serviceAccountUser"),
        ("DeployModel", 404, "The endpoint is not there", "Is it deleted, or in another project or region?"),
    ],
)
def test_refusal_says_the_cure(
    service: ModelService,
    deploy: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    method: str,
    code: int,
    message: str,
    cure: str,
) -> None:
    service.fail_next(method, code, message)
    assert deploy() == 1
    error = capsys.readouterr().err
    assert message in error
    assert cure in error
    assert service.split == {"1": 100}


@pytest.mark.usefixtures("champion")
def test_change_of_somebody_else_is_read_anew(service: ModelService, deploy: Callable[..., int]) -> None:
    deploy()
    (endpoint,) = service.served
    first, second = (each.id for each in endpoint.deployed_models)

    def somebody(method: str) -> None:
        if method == "UpdateEndpoint":
            service.before = lambda _: None
            service.endpoints.set_split(endpoint, {first: 40, second: 60})

    service.before = somebody
    assert deploy(None, 20) == 0
    assert service.split == {"1": 80, "2": 20}
    assert len(service.sent("UpdateEndpoint")) == 2


@pytest.mark.usefixtures("champion")
def test_somebody_who_never_stops_is_named(
    service: ModelService, deploy: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(4):
        service.fail_next("DeployModel", 409, "Another operation is in progress")
    assert deploy() == 1
    assert capsys.readouterr().err.startswith("Somebody else is changing the same resource; 4 tries were refused")
    assert len(service.sent("DeployModel")) == 4 + 1


@pytest.mark.usefixtures("champion")
def test_busy_service_is_asked_again(service: ModelService, deploy: Callable[..., int]) -> None:
    service.fail_next("ListEndpoints", 503, "Try again")
    assert deploy() == 0


@pytest.mark.usefixtures("champion")
def test_dry_run_changes_nothing_and_prints_what_it_would(
    service: ModelService, deploy: Callable[..., int], rollback: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    before = list(service.changes)
    assert deploy(dry=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["method"] == "deploy_model"
    assert sorted(shown["request"]["trafficSplit"].values()) == [10, 90]
    deploy_for_real = deploy()
    assert deploy_for_real == 0
    changed = list(service.changes)
    assert rollback(dry=True) == 0
    assert service.changes == changed
    assert changed == [*before, "DeployModel"]


def test_empty_registry_and_unknown_version_are_usage(
    service: ModelService,
    push: Push,
    deploy: Callable[..., int],
    promote: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert deploy() == 2
    assert "It is empty: run the pipeline with `serving:` in the runtime file." in capsys.readouterr().err
    push(1)
    assert deploy("7") == 2
    assert (
        capsys.readouterr().err == "There is no version '7' in the Model Registry. Expected one of: 1 (candidate, default).\n"
    )
    assert promote() == 2
    assert capsys.readouterr().err == (
        "Nothing is deployed: no other version has traffic, so there is nothing to promote. First: deploy\n"
    )


@pytest.mark.usefixtures("champion")
def test_endpoint_tells_what_serves(service: ModelService, runtime_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert serving_commands.endpoint(runtime_file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["100", "%", "version", "1", f"({service.served[0].deployed_models[0].id})"]
    assert lines[3].split()[:4] == ["1", "champion,", "default,", "promoted"]
    assert lines[4].split() == ["2", "candidate", "gs://my-bucket/taxi/pushed/saved_model/2"]


def test_stand_in_refuses_what_the_api_does_not_know(service: ModelService) -> None:
    with pytest.raises(RefusedError, match="no field named"):
        service.answer("POST", "/v1/projects/my-project/locations/europe-west4/endpoints", b'{"displayNam": "x"}')


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("stops_at", ["UpdateEndpoint", "UpdateModel", "MergeVersionAliases"])
def test_interrupted_promotion_is_finished_by_the_same_command(
    service: ModelService, deploy: Callable[..., int], promote: Callable[..., int], stops_at: str
) -> None:
    deploy()
    service.fail_next(stops_at, 500, "Internal error")
    assert promote() == 1
    assert service.split == ({"1": 90, "2": 10} if stops_at == "UpdateEndpoint" else {"1": 0, "2": 100})
    assert promote() == 0
    assert service.split == {"1": 0, "2": 100}
    assert service.aliases == [[], ["candidate", "champion", "default"]]
