"""Which stages run as custom jobs of Vertex AI, and the requests for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.vertex.pools import Training

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.vertex.runtime import VertexRuntime

# Of the folder of a job's outputs: Vertex shows what TensorBoard finds below it.
_LOGS_FOLDER = "custom_jobs"


def custom_job_of(stage: str, config: PipelineConfig, runtime: VertexRuntime) -> dict[str, Any] | None:
    """Return the CustomJob that a stage runs as, in its REST form and without its containers' arguments; None for a plain task.

    The Trainer does where it has worker pools; any stage does whose machine a task cannot ask for: a disk, or a TPU.
    """
    machine = runtime.machine_of(stage)
    if stage == "Trainer" and runtime.training:
        pools = runtime.training
    elif machine and (machine.disk or machine.is_tpu):
        pools = Training(chief=machine)
    else:
        return None
    if pools.timeout_hours is None:
        pools = pools.model_copy(update={"timeout_hours": runtime.timeout_hours})
    container = {"imageUri": runtime.image, "command": [], "args": []}
    return job(f"{config.name}-{stage.lower()}", job_spec(pools, container, config, runtime), config, runtime)


def tuning_flags(config: PipelineConfig, runtime: VertexRuntime) -> list[str]:
    """Return what the Tuner's executor is told where Vertex AI searches: a HyperparameterTuningJob, without a command.

    Raises:
      ConfigError: Vertex AI cannot search so.
    """
    from models.tuning.vizier import tuning_job

    assert config.tuner is not None
    try:
        search = tuning_job(config.tuner, config.search_space, config.label.kind, runtime.tuning.parallel_trials)
    except ValueError as error:
        raise ConfigError(f"{error} Or have the trials run in one machine: `tuning: {{service: keras_tuner}}`.") from None
    pools = Training(chief=runtime.tuning.trial, spot=runtime.tuning.spot, timeout_hours=runtime.timeout_hours)
    spec = job_spec(pools, {"imageUri": runtime.image, "command": [], "args": []}, config, runtime)
    spec.pop("tensorboard", None)  # where all trials would be one training
    request = job(f"{config.name}-tuner", {}, config, runtime)
    del request["jobSpec"]
    text = json.dumps(request | search | {"trialJobSpec": spec}, sort_keys=True)
    return [f"--tuning_location={runtime.location}", f"--tuning_job={text}"]


def job_spec(pools: Training, container: dict[str, Any], config: PipelineConfig, runtime: VertexRuntime) -> dict[str, Any]:
    """Return a CustomJobSpec."""
    spec: dict[str, Any] = {"workerPoolSpecs": pools.worker_pools(container), "scheduling": pools.scheduling()}
    if runtime.service_account:
        spec["serviceAccount"] = runtime.service_account
    if runtime.network:
        spec |= runtime.network.fields()
    spec["baseOutputDirectory"] = {"outputUriPrefix": f"{runtime.bucket}/{config.name}/{_LOGS_FOLDER}"}
    if runtime.tensorboard:
        spec["tensorboard"] = runtime.tensorboard
    return spec


def job(name: str, spec: dict[str, Any], config: PipelineConfig, runtime: VertexRuntime) -> dict[str, Any]:
    """Put a request around a CustomJobSpec."""
    request: dict[str, Any] = {
        "displayName": name[:128],
        "jobSpec": spec,
        "labels": {"pipeline": config.name[:63]} | runtime.labels,
    }
    if runtime.encryption_key:
        request["encryptionSpec"] = {"kmsKeyName": runtime.encryption_key}
    return request


def custom_job_args(request: dict[str, Any], location: str, command: list[str]) -> list[str]:
    """Return the launcher's arguments: where to ask, the request, and after `--` what each container is to run."""
    return ["--location", location, "--request", json.dumps(request, sort_keys=True), "--", *command]
