"""Roll back: the traffic first, once, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from served_models import ModelService

from pipeline.vertex.registry import Registered

TAXI = "projects/my-project/locations/europe-west4/models/taxi"
Push = Callable[..., Registered]


@pytest.mark.usefixtures("champion")
def test_rollback_of_a_promotion_is_a_change_of_the_split(
    service: ModelService, deploy: Callable[..., int], promote: Callable[..., int], rollback: Callable[..., int]
) -> None:
    deploy()
    promote()
    del service.asked[:]
    assert rollback(reason="Fares of 0: see ticket 7") == 0
    assert service.sent("DeployModel") == []
    assert service.split == {"1": 100}
    assert service.aliases == [["champion", "default"], []]
    bad = service.versions[TAXI][1]
    assert bad.labels["withdrawn_reason"] == "fares-of-0-see-ticket-7"
    assert bad.version_description == f"Withdrawn {bad.labels['withdrawn']}: Fares of 0: see ticket 7 auc 0.92"
    assert bad.labels["pipeline"] == "taxi", "lineage stays"


@pytest.mark.usefixtures("champion")
def test_rollback_of_a_canary_leaves_the_champion(
    service: ModelService, deploy: Callable[..., int], rollback: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    deploy()
    assert rollback() == 0
    assert service.split == {"1": 100}
    assert "withdrawn" in service.versions[TAXI][1].labels
    assert "withdrawn" not in service.versions[TAXI][0].labels
    assert deploy("2") == 2
    assert "Version 2 was withdrawn at" in capsys.readouterr().err


@pytest.mark.usefixtures("champion")
def test_second_rollback_has_nothing_to_go_back_to(
    service: ModelService,
    deploy: Callable[..., int],
    promote: Callable[..., int],
    rollback: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    deploy()
    promote()
    rollback()
    assert rollback() == 2
    assert capsys.readouterr().err == (
        "There is no version to go back to: no other one was promoted before and is not withdrawn.\n"
    )
    assert service.split == {"1": 100}


@pytest.mark.usefixtures("champion")
def test_rollback_to_a_version_that_is_not_deployed_deploys_it(
    service: ModelService, deploy: Callable[..., int], promote: Callable[..., int], rollback: Callable[..., int], push: Push
) -> None:
    for number in (3, 4):
        deploy()
        promote()
        push(number)
    assert rollback("1") == 0
    assert service.split == {"1": 100}
    assert service.aliases[0] == ["champion", "default"]


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("stops_at", ["UpdateEndpoint", "MergeVersionAliases", "UndeployModel"])
def test_interrupted_rollback_is_finished_by_the_same_command(
    service: ModelService,
    push: Push,
    deploy: Callable[..., int],
    promote: Callable[..., int],
    rollback: Callable[..., int],
    stops_at: str,
) -> None:
    for number in (3, 4):
        deploy()
        promote()
        push(number)
    service.fail_next(stops_at, 500, "Internal error")
    assert rollback() == 1
    assert rollback() == 0
    assert service.split == {"2": 100}
    assert service.aliases[1] == ["champion", "default"]
    assert ["withdrawn" in version.labels for version in service.versions[TAXI]] == [False, False, True, False]


@pytest.mark.usefixtures("champion")
def test_withdrawal_that_is_refused_does_not_keep_the_traffic(
    service: ModelService, deploy: Callable[..., int], promote: Callable[..., int], rollback: Callable[..., int]
) -> None:
    deploy()
    promote()
    service.fail_next("UpdateModel", 403, "Permission 'aiplatform.models.update' denied")
    assert rollback() == 1
    assert service.split == {"1": 100, "2": 0}
    assert service.aliases[0] == ["champion", "default"]
