"""From the graph to a Vertex AI pipeline job, offline."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from pipeline.config import PipelineConfig
from pipeline.graph import build_pipeline
from pipeline.vertex.runtime import VertexRuntime


def compile_job(config: PipelineConfig, runtime: VertexRuntime) -> dict[str, Any]:
    """Return the PipelineJob as a dict: displayName, labels, runtimeConfig and pipelineSpec (schema 2.1)."""
    with tempfile.TemporaryDirectory() as folder:
        runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image=runtime.image, use_pipeline_spec_2_1=True),
            output_dir=folder,
            output_filename="job.json",
        )
        runner.run(build_pipeline(config, runtime), write_out=True)
        return json.loads(Path(folder, "job.json").read_text("utf-8"))


def write_job(job: dict[str, Any], output: Path) -> None:
    """Write a job with sorted keys, in one rename, so that two compilations can be compared byte by byte."""
    scratch = output.with_name(f".{output.name}.{os.getpid()}")
    scratch.write_text(json.dumps(job, indent=2, sort_keys=True) + "\n", "utf-8")
    scratch.replace(output)
