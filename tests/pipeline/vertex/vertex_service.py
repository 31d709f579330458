"""A stand-in of Vertex AI, the requests that tests make to it, and commands run as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.cloud import aiplatform_v1
from google.rpc import status_pb2
from typer.testing import Result
from vertex_runtimes import RUNTIME

Run = Callable[..., Result]
JOBS_RUNTIME: dict[str, Any] = RUNTIME | {
    "network": {"psc_attachment": "projects/my-project/regions/europe-west4/networkAttachments/a"},
    "encryption_key": "projects/my-project/locations/europe-west4/keyRings/r/cryptoKeys/k",
    "labels": {"team": "taxi"},
}
PROJECT = Path(__file__).resolve().parents[3]
LOCATION = "projects/my-project/locations/europe-west4"
PYTHON = sys.executable


def task_detail(
    name: str, state: Any, error: str, outputs: Mapping[str, Mapping[str, Any]]
) -> aiplatform_v1.PipelineTaskDetail:
    """Return what Vertex AI tells of a task that ran as a custom job.

    Args:
      name: of the task.
      state: of it.
      error: "" for none.
      outputs: {name: fields of its artifact}.
    """
    lists = {
        key: aiplatform_v1.PipelineTaskDetail.ArtifactList(artifacts=[aiplatform_v1.Artifact(**artifact)])
        for key, artifact in outputs.items()
    }
    detail = aiplatform_v1.PipelineTaskDetail(task_name=name, state=state, outputs=lists)
    if error:
        detail.error = status_pb2.Status(code=9, message=error)
    detail.executor_detail = aiplatform_v1.PipelineTaskExecutorDetail(
        container_detail={"main_job": "projects/1/locations/europe-west4/customJobs/77"}
    )
    return detail


def custom_job(replicas: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a CustomJob whose containers have no command yet."""
    machine = {"machineSpec": {"machineType": "n1-standard-4"}, "containerSpec": {"imageUri": "image:1", "command": []}}
    pools = [machine | {"replicaCount": 1}, *([machine | {"replicaCount": replicas - 1}] if replicas > 1 else [])]
    return {"displayName": "taxi-trainer", "jobSpec": {"workerPoolSpecs": pools}} | fields


def run_here(name: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command as a process: the `python` of a container is this one."""
    words = [PYTHON if word == "python" else word for word in command]
    code = subprocess.run(words, env={**os.environ, **environment, "PYTHONPATH": str(PROJECT)}, check=False).returncode
    return f"it exited with a non-zero status of {code}." if code else ""
