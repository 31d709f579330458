"""The same taxi config as a Vertex AI pipeline job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.utils import import_utils
from typer.testing import CliRunner

import runner_vertex

RUNTIME = "configs/runtime/vertex.example.yaml"


def compile_job(repository: Path, output: Path, *arguments: str) -> Any:
    config, runtime = repository / "configs" / "taxi.yaml", repository / RUNTIME
    command = ["compile", "--config", str(config), "--runtime", str(runtime), "--output", str(output), *arguments]
    return CliRunner().invoke(runner_vertex.app, command)


@pytest.fixture(scope="module")
def job(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("vertex") / "job.json"
    result = compile_job(repository, output)
    assert result.exit_code == 0, result.output
    return json.loads(output.read_text())


@pytest.fixture(scope="module")
def executors(job: dict[str, Any]) -> dict[str, Any]:
    return job["pipelineSpec"]["deploymentSpec"]["executors"]


def test_job_is_a_valid_pipeline_spec(job: dict[str, Any]) -> None:
    spec = json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"
    assert spec.pipeline_info.name == "taxi"
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://my-project-pipelines/taxi/artifacts"


def test_job_has_every_stage_of_the_local_run(job: dict[str, Any]) -> None:
    assert set(job["pipelineSpec"]["root"]["dag"]["tasks"]) == {
        "CuratedSchema",
        "ExampleGen",
        "StatisticsGen",
        "ExampleValidator",
        "DataGate",
        "Transform",
        "Trainer",
        "LatestBlessedModel-model-blessing-resolver",
        "LatestBlessedModel-model-resolver",
        "Evaluator",
        "ModelGate",
        "Compressor",
        "Pusher",
        "EdgePusher",
    }


def test_champion_is_looked_for_among_the_pipelines_own(executors: dict[str, Any]) -> None:
    blessings = executors["LatestBlessedModel-model-blessing-resolver_executor"]["resolver"]["outputArtifactQueries"]
    assert blessings["model_blessing"]["filter"] == (
        'schema_title="tfx.ModelBlessing" AND state=LIVE AND metadata.blessed.number_value=1 '
        'AND metadata.pipeline.string_value="taxi"'
    )


def test_transform_waits_for_the_data_gate_on_vertex_too(job: dict[str, Any]) -> None:
    assert "DataGate" in job["pipelineSpec"]["root"]["dag"]["tasks"]["Transform"]["dependentTasks"]


def test_every_container_runs_the_one_image(executors: dict[str, Any]) -> None:
    images = {e["container"]["image"] for e in executors.values() if "container" in e}
    assert images == {"europe-west4-docker.pkg.dev/my-project/pipelines/tfx-pipeline:source-0123456789ab"}


def test_every_executor_class_can_be_imported(executors: dict[str, Any]) -> None:
    paths = [e["container"]["args"][1] for e in executors.values() if "container" in e]
    assert len(paths) == 12
    for path in paths:
        assert callable(import_utils.import_class_by_path(path).Do)


def test_every_custom_artifact_type_is_found_by_its_schema_title(job: dict[str, Any]) -> None:
    text = json.dumps(job["pipelineSpec"]["components"])
    for name in ("GateReport", "EdgeModel", "PushedEdgeModel", "DataApproval"):
        assert f"title: pipeline.{name}" in text
        assert f"pipeline.{name}" == import_utils.import_class_by_path(f"pipeline.{name}").TYPE_NAME


def test_example_gen_keeps_its_driver_and_reads_the_data_inside_the_image(
    job: dict[str, Any], executors: dict[str, Any]
) -> None:
    lifecycle = executors["ExampleGen_executor"]["container"]["lifecycle"]["preCacheCheck"]
    assert "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver" in lifecycle["command"]
    parameters = job["pipelineSpec"]["root"]["dag"]["tasks"]["ExampleGen"]["inputs"]["parameters"]
    base = parameters["input_base"]["runtimeValue"]["constant"]
    assert base == "/opt/venv/lib/python3.10/site-packages/tfx/examples/chicago_taxi_pipeline/data/big_tipper_label"


def test_beam_stages_run_on_dataflow(executors: dict[str, Any]) -> None:
    args = executors["StatisticsGen_executor"]["container"]["args"]
    assert "--runner=DataflowRunner" in args
    assert "--worker_machine_type=e2-standard-4" in args


def test_no_path_of_this_machine_is_in_the_job(job: dict[str, Any], repository: Path) -> None:
    assert str(repository) not in json.dumps(job)


def test_compiling_twice_gives_the_same_bytes(repository: Path, tmp_path: Path, job: dict[str, Any]) -> None:
    compile_job(repository, tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == job
    compile_job(repository, tmp_path / "once_more.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "once_more.json").read_bytes()


def test_data_on_this_machine_is_refused(repository: Path, tmp_path: Path) -> None:
    result = compile_job(repository, tmp_path / "job.json", "--set", "data.path=/data/taxi.csv")
    assert result.exit_code == 2
    assert "data.path: '/data/taxi.csv' lies on this machine, out of Vertex's reach." in result.output
    assert not (tmp_path / "job.json").exists()


def test_search_comes_between_transform_and_trainer(repository: Path, tmp_path: Path) -> None:
    result = compile_job(repository, tmp_path / "job.json", "--set", "tuner={algorithm: hyperband}")
    assert result.exit_code == 0, result.output
    job = json.loads((tmp_path / "job.json").read_text())
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert tasks["Tuner"]["dependentTasks"] == ["Transform"]
    assert "Tuner" in tasks["Trainer"]["dependentTasks"]
    given = tasks["Trainer"]["inputs"]["artifacts"]["hyperparameters"]["taskOutputArtifact"]
    assert given == {"producerTask": "Tuner", "outputArtifactKey": "best_hyperparameters"}


def test_later_search_is_resolved_on_vertex_too(repository: Path, tmp_path: Path) -> None:
    result = compile_job(repository, tmp_path / "job.json", "--set", "tuner={reuse: latest}")
    assert result.exit_code == 0, result.output
    job = json.loads((tmp_path / "job.json").read_text())
    assert "Tuner" not in job["pipelineSpec"]["root"]["dag"]["tasks"]
    resolver = job["pipelineSpec"]["deploymentSpec"]["executors"]["LatestSearch_executor"]["resolver"]
    assert "tfx.HyperParameters" in json.dumps(resolver)
    given = job["pipelineSpec"]["root"]["dag"]["tasks"]["Trainer"]["inputs"]["artifacts"]["hyperparameters"]
    assert given["taskOutputArtifact"]["producerTask"] == "LatestSearch"
