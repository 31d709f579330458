"""The stage after the Pusher, and where the graph has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from served_models import ModelService
from tfx.types.standard_artifacts import PushedModel

import pipeline
from pipeline.artifacts import GateReport, RegisteredModel
from pipeline.components.registrar import register_settings
from pipeline.registering import Registry
from pipeline.vertex import registrar_executor
from pipeline.vertex.serving_api import ServingError

TAXI = "projects/my-project/locations/europe-west4/models/taxi"


@pytest.fixture
def run(tmp_path: Path, place: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], RegisteredModel]:
    """Run the executor on what a Pusher left; return the output."""
    for kind in ("content_digest", "model_digest"):
        monkeypatch.setattr(registrar_executor, kind, lambda folder: "ab" * 32)
    report = GateReport()
    report.uri = str(tmp_path)
    (tmp_path / "gates.json").write_text(json.dumps({"metrics": {"candidate": {"auc": 0.94, "loss": 0.2}}}))
    settings = register_settings(place, "taxi", "sha256:" + "c" * 64)

    def execute(destination: str) -> RegisteredModel:
        pushed, output = PushedModel(), RegisteredModel()
        pushed.set_string_custom_property("pushed_destination", destination)
        output.uri = "gs://my-bucket/taxi/artifacts/123/taxi-20261126/ModelRegistry_-5/registered_model"
        inputs = {"pushed_model": [pushed], "report": [report]}
        registrar_executor.Executor().Do(inputs, {"registered_model": [output]}, {"settings": settings.model_dump_json()})
        return output

    return execute


def test_pushed_model_is_registered_with_its_lineage(service: ModelService, run: Callable[[str], RegisteredModel]) -> None:
    output = run("gs://my-bucket/taxi/pushed/saved_model/1")
    assert output.get_string_custom_property("model") == TAXI
    assert output.get_string_custom_property("version") == "1"
    (upload,) = service.sent("UploadModel")
    labels = upload["model"]["labels"]
    assert len(labels.pop("code")) == 16
    assert labels == {
        "team": "taxi",
        "pipeline": "taxi",
        "config": "c" * 16,
        "run": "taxi-20261126",
        "content": "ab" * 16,
        "weights": "ab" * 16,
    }
    assert upload["model"]["versionDescription"] == "auc 0.94, loss 0.2; made by taxi-20261126"
    run("gs://my-bucket/taxi/pushed/saved_model/1")
    assert len(service.sent("UploadModel")) == 1, "a task that is tried again"


def test_model_that_was_not_pushed_is_not_registered(service: ModelService, run: Callable[[str], RegisteredModel]) -> None:
    output = run("")
    assert output.get_string_custom_property("version") == ""
    assert service.asked == []


def test_refusal_fails_the_stage_with_its_cure(service: ModelService, run: Callable[[str], RegisteredModel]) -> None:
    service.fail_next("UploadModel", 403, "Permission 'aiplatform.models.upload' denied")
    with pytest.raises(ServingError, match=r"denied\. Grant: gcloud projects add-iam-policy-binding my-project"):
        run("gs://my-bucket/taxi/pushed/saved_model/1")


def test_graph_registers_where_the_runtime_serves(tmp_path: Path, repository: Path, runtime_file: Path) -> None:
    from pipeline.config import load_config
    from pipeline.graph import build_pipeline
    from pipeline.local.runtime import LocalRuntime
    from pipeline.vertex.runtime import load_runtime

    config = load_config(repository / "configs" / "taxi.yaml")
    graph = build_pipeline(config, load_runtime(runtime_file))
    stage = next(component for component in graph.components if component.id == "ModelRegistry")
    assert {node.id for node in stage.upstream_nodes} == {"Pusher", "ModelGate"}
    settings = json.loads(stage.exec_properties["settings"])
    assert settings["registry"] == {
        "location": "projects/my-project/locations/europe-west4",
        "model": "taxi",
        "aliases": ["candidate"],
        "image": "europe-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest",
        "service_account": "pipeline@my-project.iam.gserviceaccount.com",
        "encryption_key": None,
        "labels": {"team": "taxi"},
    }
    assert stage.outputs["registered_model"].type_name == "pipeline.RegisteredModel"
    assert pipeline.RegisteredModel is RegisteredModel, "as Vertex AI finds it"
    local = build_pipeline(config, LocalRuntime(tmp_path))
    assert "ModelRegistry" not in {component.id for component in local.components}


def test_runtime_without_serving_has_no_registry(runtime_file: Path) -> None:
    from pipeline.vertex.runtime import load_runtime

    values = yaml.safe_load(runtime_file.read_text())
    runtime_file.write_text(yaml.safe_dump({key: value for key, value in values.items() if key != "serving"}))
    assert load_runtime(runtime_file).registry is None
