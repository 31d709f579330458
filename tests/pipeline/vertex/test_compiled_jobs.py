"""The taxi job as it is compiled for CPUs, GPUs, several machines, a TPU and Vizier."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.utils import import_utils
from vertex_runtimes import RUNTIME

from pipeline.config import load_config
from pipeline.errors import ConfigError
from pipeline.vertex.compiling import compile_job
from pipeline.vertex.runtime import VertexRuntime

GPUS = {"machine_type": "n1-standard-16", "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 2}}
Compile = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def compiled(repository: Path) -> Compile:
    def compile_(*overrides: str, **runtime: Any) -> dict[str, Any]:
        config = load_config(repository / "configs" / "taxi.yaml", overrides)
        return compile_job(config, VertexRuntime.model_validate(RUNTIME | runtime))

    return compile_


def container(job: dict[str, Any], stage: str) -> dict[str, Any]:
    return job["pipelineSpec"]["deploymentSpec"]["executors"][f"{stage}_executor"]["container"]


def request(job: dict[str, Any], stage: str = "Trainer") -> Any:
    """Return the CustomJob that a stage runs as, which the API's own type has taken."""
    args = container(job, stage)["args"]
    return aiplatform_v1.CustomJob.from_json(args[args.index("--request") + 1], ignore_unknown_fields=False)


def settings(job: dict[str, Any]) -> dict[str, Any]:
    parameters = job["pipelineSpec"]["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"]
    return json.loads(json.loads(parameters["custom_config"]["runtimeValue"]["constant"])["settings"])


def test_job_is_what_the_api_takes(compiled: Compile) -> None:
    job = compiled()
    message = aiplatform_v1.PipelineJob.from_json(json.dumps(job), ignore_unknown_fields=False)
    assert message.service_account == RUNTIME["service_account"]
    spec = json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"


def test_every_task_runs_its_own_executor_in_the_one_image(compiled: Compile) -> None:
    executors = compiled()["pipelineSpec"]["deploymentSpec"]["executors"]
    containers = {label: each["container"] for label, each in executors.items() if "container" in each}
    assert len(containers) == 12
    assert {each["image"] for each in containers.values()} == {RUNTIME["image"]}
    paths = {label: each["args"][each["args"].index("--executor_class_path") + 1] for label, each in containers.items()}
    assert len(set(paths.values())) == len(paths)
    for path in paths.values():
        executor = import_utils.import_class_by_path(path)
        assert "Do" in vars(executor) or any("Do" in vars(base) for base in executor.__mro__[:-3]), path
    for each in containers.values():
        assert each["command"] == ["python", "-m", "pipeline.vertex.task"]
        assert "{{$}}" in each["args"]


def test_machine_of_a_stage_becomes_its_resources(compiled: Compile) -> None:
    job = compiled(stages={"default": {"machine_type": "e2-highmem-4"}, "Trainer": GPUS}, accelerators="gpu")
    assert container(job, "Evaluator")["resources"] == {"cpuLimit": 4.0, "memoryLimit": 32.0}
    accelerator = {"type": "NVIDIA_TESLA_T4", "count": "2"}
    assert container(job, "Trainer")["resources"] == {"cpuLimit": 16.0, "memoryLimit": 60.0, "accelerator": accelerator}
    assert settings(job)["strategy"] == "mirrored"
    assert container(job, "Trainer")["command"] == ["python", "-m", "pipeline.vertex.task"]


def test_gpus_of_one_machine_are_mirrored_in_a_custom_job(compiled: Compile) -> None:
    job = compiled(training={"chief": GPUS}, accelerators="gpu", labels={"team": "taxi"})
    asked = request(job)
    (chief,) = asked.job_spec.worker_pool_specs
    assert (chief.machine_spec.accelerator_type.name, chief.machine_spec.accelerator_count) == ("NVIDIA_TESLA_T4", 2)
    assert asked.job_spec.service_account == RUNTIME["service_account"]
    assert dict(asked.labels) == {"pipeline": "taxi", "team": "taxi"}
    assert settings(job)["strategy"] == "mirrored"
    assert container(job, "Trainer")["command"] == ["python", "-m", "pipeline.vertex.launch"]
    args = container(job, "Trainer")["args"]
    assert args[args.index("--") + 1 : args.index("--") + 4] == ["python", "-m", "pipeline.vertex.task"]
    assert "{{$}}" in args
    assert container(job, "Trainer")["resources"] == {"cpuLimit": 1.0, "memoryLimit": 4.0}


def test_several_machines_are_workers_with_servers_between_them(compiled: Compile) -> None:
    pools = {"chief": GPUS, "workers": GPUS | {"count": 3}, "reduction_server": {"count": 2}, "spot": True, "timeout_hours": 2}
    job = compiled(training=pools, accelerators="gpu", tensorboard="projects/my-project/locations/europe-west4/tensorboards/7")
    asked = request(job)
    assert [pool.replica_count for pool in asked.job_spec.worker_pool_specs] == [1, 3, 2]
    assert asked.job_spec.scheduling.strategy.name == "SPOT"
    assert asked.job_spec.scheduling.restart_job_on_worker_restart is True
    assert asked.job_spec.scheduling.timeout.total_seconds() == 7200
    assert asked.job_spec.tensorboard.endswith("/tensorboards/7")
    assert asked.job_spec.base_output_directory.output_uri_prefix.startswith("gs://my-bucket/taxi/")
    assert settings(job)["strategy"] == "multi_worker"


def test_tpu_is_a_custom_job_of_its_topology(compiled: Compile) -> None:
    job = compiled(stages={"Trainer": {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x2"}}, accelerators="tpu")
    (chief,) = request(job).job_spec.worker_pool_specs
    assert (chief.machine_spec.machine_type, chief.machine_spec.tpu_topology) == ("ct5lp-hightpu-4t", "2x2")
    assert settings(job)["strategy"] == "tpu"


def test_stage_with_a_disk_of_its_own_is_a_custom_job(compiled: Compile) -> None:
    job = compiled(stages={"Compressor": {"machine_type": "e2-standard-8", "disk": {"size_gb": 300}}})
    (pool,) = request(job, "Compressor").job_spec.worker_pool_specs
    assert pool.disk_spec.boot_disk_size_gb == 300
    assert container(job, "Trainer")["command"] == ["python", "-m", "pipeline.vertex.task"]


def test_vizier_searches_the_configs_space(compiled: Compile) -> None:
    job = compiled("tuner={budget: {trials: 12}}", tuning={"service": "vizier", "parallel_trials": 3, "spot": True})
    args = container(job, "Tuner")["args"]
    assert args[args.index("--executor_class_path") + 1] == "pipeline.vertex.vizier_executor.Executor"
    text = next(arg.removeprefix("--tuning_job=") for arg in args if arg.startswith("--tuning_job="))
    search = aiplatform_v1.HyperparameterTuningJob.from_json(text, ignore_unknown_fields=False)
    assert (search.max_trial_count, search.parallel_trial_count) == (12, 3)
    assert "fit.learning_rate" in {spec.parameter_id for spec in search.study_spec.parameters}
    assert search.trial_job_spec.scheduling.strategy.name == "SPOT"
    assert search.trial_job_spec.worker_pool_specs[0].machine_spec.machine_type == "e2-standard-4"


def test_search_that_vizier_cannot_do_names_the_way_out(compiled: Compile) -> None:
    with pytest.raises(ConfigError, match=r"Vizier has no hyperband.*`tuning: \{service: keras_tuner\}`"):
        compiled("tuner={algorithm: hyperband, budget: {trials: 9}}", tuning={"service": "vizier"})


def test_pushed_model_is_registered_where_the_runtime_serves(compiled: Compile) -> None:
    job = compiled(serving={"model": "taxi"})
    task = job["pipelineSpec"]["root"]["dag"]["tasks"]["ModelRegistry"]
    assert task["inputs"]["artifacts"]["pushed_model"]["taskOutputArtifact"]["producerTask"] == "Pusher"
    outputs = job["pipelineSpec"]["components"]["ModelRegistry"]["outputDefinitions"]["artifacts"]
    schema = outputs["registered_model"]["artifactType"]["instanceSchema"]
    assert "title: pipeline.RegisteredModel" in schema
    assert import_utils.import_class_by_path("pipeline.RegisteredModel").TYPE_NAME == "pipeline.RegisteredModel"


def test_stage_that_is_not_there_is_named(compiled: Compile) -> None:
    with pytest.raises(ConfigError, match=r"stages: this pipeline has no Traner\. Expected any of: .*Trainer"):
        compiled(stages={"Traner": {"machine_type": "e2-standard-4"}})


def test_tasks_are_tried_again_and_gates_are_not(compiled: Compile) -> None:
    tasks = compiled(retries={"count": 3, "first_after_seconds": 10})["pipelineSpec"]["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["retryPolicy"] == {
        "maxRetryCount": 3,
        "backoffDuration": "10s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }
    assert "retryPolicy" not in tasks["DataGate"]
    assert "retryPolicy" not in tasks["LatestBlessedModel-model-resolver"]
    assert not any("retryPolicy" in t for t in compiled(retries={"count": 0})["pipelineSpec"]["root"]["dag"]["tasks"].values())


def test_warm_start_takes_the_latest_blessed_model(compiled: Compile) -> None:
    inputs = {
        warm: compiled(f"fit.warm_start={warm}")["pipelineSpec"]["root"]["dag"]["tasks"]["Trainer"]["inputs"]["artifacts"]
        for warm in ("true", "false")
    }
    assert "base_model" not in inputs["false"]
    producer = inputs["true"]["base_model"]["taskOutputArtifact"]["producerTask"]
    assert producer == "LatestBlessedModel-model-resolver"


def test_evaluator_has_the_fourth_place_whoever_else_is_there(compiled: Compile) -> None:
    one = {"machine_type": "n1-standard-4"}
    spec = request(compiled(training={"chief": one, "evaluator": one})).job_spec
    assert [pool.replica_count for pool in spec.worker_pool_specs] == [1, 0, 0, 1]
    many = request(compiled(training={"chief": one, "workers": one | {"count": 2}, "evaluator": one})).job_spec
    assert [pool.replica_count for pool in many.worker_pool_specs] == [1, 2, 0, 1]
    assert many.worker_pool_specs[3].machine_spec.machine_type == "n1-standard-4"


def test_exit_handler_waits_for_everything_and_rents_next_to_nothing(compiled: Compile) -> None:
    told = {"notify": {"topic": "projects/p/topics/t", "webhook_secret": "projects/p/secrets/s"}, "experiment": "taxi"}
    job, plain = compiled(**told), compiled()
    spec, handler = job["pipelineSpec"], job["pipelineSpec"]["root"]["dag"]["tasks"]["ExitHandler"]
    assert spec["components"]["tfx-dag"]["dag"]["tasks"] == plain["pipelineSpec"]["root"]["dag"]["tasks"]
    assert handler["dependentTasks"] == ["tfx-dag"]
    assert handler["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert handler["inputs"]["parameters"]["final_status"] == {"taskFinalStatus": {"producerTask": "tfx-dag"}}
    assert "cachingOptions" not in handler
    assert container(job, "ExitHandler")["resources"] == {"cpuLimit": 1.0, "memoryLimit": 4.0}
    assert "pipeline.vertex.exit_executor.Executor" in container(job, "ExitHandler")["args"]
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    aiplatform_v1.PipelineJob.from_json(json.dumps(job), ignore_unknown_fields=False)


@pytest.mark.parametrize(("policy", "name"), [("fast", "FAIL_FAST"), ("slow", "FAIL_SLOW")])
def test_failure_policy(compiled: Compile, policy: str, name: str) -> None:
    assert compiled(failure_policy=policy)["runtimeConfig"]["failurePolicy"] == f"PIPELINE_FAILURE_POLICY_{name}"


def test_key_and_network_are_of_the_job_and_of_its_custom_jobs(compiled: Compile) -> None:
    key = "projects/my-project/locations/europe-west4/keyRings/r/cryptoKeys/k"
    network = {"name": "projects/123/global/networks/vpc", "reserved_ip_ranges": ["a"]}
    job = compiled(encryption_key=key, network=network, training={"chief": {"machine_type": "e2-standard-4"}})
    assert (job["encryptionSpec"], job["network"], job["reservedIpRanges"]) == ({"kmsKeyName": key}, network["name"], ["a"])
    asked = request(job)
    assert (asked.encryption_spec.kms_key_name, asked.job_spec.network) == (key, network["name"])


def test_other_code_or_config_is_another_label(compiled: Compile) -> None:
    first, second = compiled()["labels"], compiled("fit.epochs=3")["labels"]
    assert first["code"] == second["code"]
    assert first["config"] != second["config"]
    assert all(len(value) <= 63 for value in first.values())
