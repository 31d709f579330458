"""The service, a runtime file that serves, and versions in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from served_models import ModelService
from vertex_runtimes import RUNTIME

from pipeline.registering import Pushed, Registry
from pipeline.vertex import registry, serving_api, serving_commands
from pipeline.vertex.registry import Registered
from pipeline.vertex.serving_api import ServingApi
from pipeline.vertex.serving_commands import CheckOptions

SERVING = {
    "labels": {"team": "taxi"},
    "serving": {"model": "taxi", "endpoint": {"name": "taxi-online", "max_replicas": 3}},
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelService]:
    with ModelService() as running:
        monkeypatch.setenv("AIPLATFORM_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def runtime_file(tmp_path: Path) -> Path:
    file = tmp_path / "vertex.yaml"
    file.write_text(yaml.safe_dump(RUNTIME | SERVING))
    return file


@pytest.fixture
def place() -> Registry:
    return Registry(
        location="projects/my-project/locations/europe-west4",
        model="taxi",
        aliases=("candidate",),
        image="europe-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest",
        service_account="pipeline@my-project.iam.gserviceaccount.com",
        labels={"team": "taxi"},
    )


@pytest.fixture
def push(service: ModelService, place: Registry) -> Callable[..., Registered]:
    """Register the push of a number, as the stage of a pipeline does."""

    def register(number: int, weights: str = "", **fields: str) -> Registered:
        pushed = Pushed(
            uri=f"gs://my-bucket/taxi/pushed/saved_model/{number}",
            content_digest=f"{number:064x}"[::-1],
            model_digest=weights or f"{number:064x}"[::-1],
            lineage={"pipeline": "taxi", "run": "Taxi Run.1"},
            description=f"auc 0.9{number}",
        )
        return registry.register(ServingApi(place.location), place, pushed)

    return register


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_api.time, "sleep", lambda seconds: None)


@pytest.fixture
def deploy(runtime_file: Path) -> Callable[..., int]:
    return lambda version=None, percent=None, dry=False: serving_commands.deploy(runtime_file, version, percent, True, dry)


@pytest.fixture
def promote(runtime_file: Path) -> Callable[..., int]:
    return lambda version=None: serving_commands.promote(runtime_file, version, CheckOptions(None, None, None), False)


@pytest.fixture
def rollback(runtime_file: Path) -> Callable[..., int]:
    return lambda version=None, reason="", dry=False: serving_commands.rollback(runtime_file, version, reason, dry)


@pytest.fixture
def champion(push: Callable[..., Registered], deploy: Callable[..., int], promote: Callable[..., int]) -> None:
    """Version 1 serves and is the champion; version 2 is registered."""
    push(1)
    assert deploy() == 0
    assert promote() == 0
    push(2)
