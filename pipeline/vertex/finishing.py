"""What TFX leaves open in a compiled job: commands, machines, retries, custom jobs, and the fields around the specification.

TFX names for a component the class of its executor, where ours name a path, so that a graph is built without importing
executors; and it knows a machine by two numbers. Everything here is a pure function of dicts, so that it can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import BLESSED_FOR, TUNER
from pipeline.vertex.custom_jobs import custom_job_args, custom_job_of, tuning_flags

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.vertex.machines import Machine
    from pipeline.vertex.runtime import VertexRuntime

Job = dict[str, Any]
TASK_COMMAND = ["python", "-m", "pipeline.vertex.task"]
LAUNCH_COMMAND = ["python", "-m", "pipeline.vertex.launch"]
VIZIER_EXECUTOR = "pipeline.vertex.vizier_executor.Executor"
# They fail because of what they found: once more would find the same.
GATES = ("DataGate", "ModelGate")
EXIT_HANDLER = "ExitHandler"
_BLESSING = "tfx.ModelBlessing"


def finish(job: Job, executors: Mapping[str, str | None], config: PipelineConfig, runtime: VertexRuntime) -> Job:
    """Complete a job.

    Args:
      job: with displayName, pipelineSpec and runtimeConfig; is changed.
      executors: {stage: dotted name of its executor}.
      config: for labels.
      runtime: where it will run.
    """
    spec = job["pipelineSpec"]
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if container := executor.get("container"):
            stage = label.removesuffix("_executor")
            _finish_container(container, stage, executors[stage] or "", config, runtime)
        _ask_for_own_blessings(executor, config.name)
    for name, task in _tasks(spec):
        runs = "container" in spec["deploymentSpec"]["executors"].get(f"{name}_executor", {})
        if runs and name not in GATES and (policy := runtime.retries.policy()):
            task["retryPolicy"] = policy
    job["runtimeConfig"]["failurePolicy"] = f"PIPELINE_FAILURE_POLICY_FAIL_{runtime.failure_policy.upper()}"
    return job | request_fields(config, runtime)


def _tasks(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the tasks of the root and of the groups in it."""
    groups = [spec["root"]["dag"], *(component["dag"] for component in spec["components"].values() if "dag" in component)]
    for group in groups:
        yield from group["tasks"].items()


def request_fields(config: PipelineConfig, runtime: VertexRuntime) -> dict[str, Any]:
    """Return what stands around the specification: labels, accounts, network, key."""
    from pipeline.code_digest import project_digest

    fields: dict[str, Any] = {"labels": labels(config.name, project_digest(), config.digest) | runtime.labels}
    if runtime.service_account:
        fields["serviceAccount"] = runtime.service_account
    if runtime.network:
        fields |= runtime.network.fields()
    if runtime.encryption_key:
        fields["encryptionSpec"] = {"kmsKeyName": runtime.encryption_key}
    return fields


def labels(pipeline: str, code_digest: str, config_digest: str) -> dict[str, str]:
    """Return labels by which a job is found again, and its code and config."""
    return {
        "pipeline": pipeline[:63],
        "code": code_digest.removeprefix("sha256:")[:16],
        "config": config_digest.removeprefix("sha256:")[:16],
    }


def _finish_container(
    container: dict[str, Any], stage: str, executor: str, config: PipelineConfig, runtime: VertexRuntime
) -> None:
    args = list(container["args"])
    args[args.index("--executor_class_path") + 1] = executor
    spec_at = args.index("--json_serialized_inputs_spec_args") + 1
    args[spec_at] = json.dumps(json.loads(args[spec_at]), sort_keys=True, separators=(",", ":"))
    args += ["--timeout_seconds", str(round(3600 * runtime.timeout_hours)), "--compiled_by", f"tfx-{metadata.version('tfx')}"]
    container["command"], container["args"] = TASK_COMMAND, args
    if stage == TUNER and runtime.tuning.service == "vizier":
        args[args.index("--executor_class_path") + 1] = VIZIER_EXECUTOR
        args += tuning_flags(config, runtime)
        container["resources"] = _resources(None)
    elif stage == EXIT_HANDLER:
        container["resources"] = _resources(None)
    elif job := custom_job_of(stage, config, runtime):
        container["command"] = LAUNCH_COMMAND
        container["args"] = custom_job_args(job, runtime.location, [*TASK_COMMAND, *args])
        container["resources"] = _resources(None)
    elif machine := runtime.machine_of(stage):
        container["resources"] = _resources(machine)


def _ask_for_own_blessings(executor: dict[str, Any], pipeline: str) -> None:
    """Have the resolver of the champion take this pipeline's only.

    All pipelines of a project share one metadata store, and TFX's filter takes any; on this machine TFX asks by pipeline.
    """
    for query in executor.get("resolver", {}).get("outputArtifactQueries", {}).values():
        if f'"{_BLESSING}"' in query["filter"]:
            query["filter"] += f' AND metadata.{BLESSED_FOR}.string_value="{pipeline}"'


def _resources(machine: Machine | None) -> dict[str, Any]:
    """Return a ResourceSpec: Vertex takes the smallest machine that has it. None: of a task that only asks other services."""
    if machine is None:
        return {"cpuLimit": 1.0, "memoryLimit": 4.0}
    limits: dict[str, Any] = {"cpuLimit": float(machine.shape.cpus), "memoryLimit": float(machine.shape.memory_gb)}
    if machine.accelerator:
        # The API has 64-bit integers as text.
        limits["accelerator"] = {"type": machine.accelerator.type, "count": str(machine.accelerator.count)}
    return limits
