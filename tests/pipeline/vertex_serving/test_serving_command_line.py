"""`runner_vertex.py deploy | promote | rollback | batch-predict | endpoint` as they are typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from served_models import ModelService
from typer.testing import CliRunner

from pipeline.vertex.registry import Registered
from runner_vertex import app


@pytest.fixture
def type_in(runtime_file: Path) -> Callable[..., int]:
    return lambda command, *words: CliRunner().invoke(app, [command, "--runtime", str(runtime_file), *words]).exit_code


def test_a_day_of_commands(service: ModelService, push: Callable[..., Registered], type_in: Callable[..., int]) -> None:
    push(1)
    assert type_in("deploy", "--wait") == 0
    assert type_in("promote", "--unchecked") == 0
    push(2)
    assert type_in("deploy", "--version", "candidate", "--traffic", "25", "--wait") == 0
    assert service.split == {"1": 75, "2": 25}
    assert type_in("promote", "--unchecked", "--dry-run") == 0
    assert service.split == {"1": 75, "2": 25}
    assert type_in("promote", "--unchecked") == 0
    assert type_in("rollback", "--reason", "too slow") == 0
    assert service.split == {"1": 100}
    assert type_in("batch-predict", "--input", "gs://b/x.gz", "--output", "gs://b/o", "--machine-type", "n1-standard-8") == 0
    (job,) = service.sent("CreateBatchPredictionJob")
    assert job["dedicatedResources"]["machineSpec"] == {"machineType": "n1-standard-8"}
    assert type_in("endpoint") == 0
    assert type_in("deploy", "--traffic", "101") == 2


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        (None, "The runtime file has no `serving:`."),
        ({"model": "taxi"}, "The runtime file has no `serving.endpoint`."),
        ({"model": "7taxi"}, "serving.model: string should match pattern"),
    ],
)
def test_runtime_file_that_does_not_serve_is_usage(
    runtime_file: Path, type_in: Callable[..., int], capfd: pytest.CaptureFixture[str], serving: object, message: str
) -> None:
    runtime_file.write_text(yaml.safe_dump(yaml.safe_load(runtime_file.read_text()) | {"serving": serving}))
    result = CliRunner().invoke(app, ["deploy", "--runtime", str(runtime_file)])
    assert result.exit_code == 2
    assert message in result.output + capfd.readouterr().err


def test_service_that_cannot_be_reached_is_a_failure(type_in: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIPLATFORM_ENDPOINT", "http://127.0.0.1:9")
    assert type_in("endpoint") == 1
