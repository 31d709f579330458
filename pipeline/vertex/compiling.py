"""From the graph to a Vertex AI pipeline job, offline."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports
from pipeline.config import PipelineConfig
from pipeline.errors import ConfigError
from pipeline.vertex.finishing import finish

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_node import BaseNode
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.vertex.runtime import VertexRuntime

_SCHEMA_VERSION = "2.1.0"
# Stages that some pipelines have: a runtime file is for all of them.
_NOT_ALWAYS = {"SchemaGen", "CuratedSchema", "Tuner", "Compressor", "EdgePusher", "ModelRegistry"}


def compile_job(config: PipelineConfig, runtime: VertexRuntime) -> dict[str, Any]:
    """Return the PipelineJob as the API takes it, in its REST form, with the pipeline spec (schema 2.1) in it.

    Raises:
      ConfigError: the pipeline cannot run as the runtime file says.
    """
    lean_imports.orchestrating()
    lean_imports.without_kfp_client()
    from pipeline.graph import build_pipeline
    from pipeline.vertex.exit_handler import exit_handler_of
    from pipeline.vertex.runtime import DEFAULT_STAGE

    graph, at_exit = build_pipeline(config, runtime), exit_handler_of(config.name, runtime)
    stages = {component.id for component in graph.components}
    if strange := sorted(set(runtime.stages) - stages - _NOT_ALWAYS - {DEFAULT_STAGE}):
        raise ConfigError(f"stages: this pipeline has no {', '.join(strange)}. Expected any of: {', '.join(sorted(stages))}.")
    job = {
        "displayName": config.name,
        "pipelineSpec": _spec(graph, at_exit, runtime),
        "runtimeConfig": {"gcsOutputDirectory": graph.pipeline_info.pipeline_root},
    }
    everything = [*graph.components, *([at_exit] if at_exit else [])]
    executors = {component.id: getattr(component.executor_spec, "class_path", None) for component in everything}
    return finish(job, executors, config, runtime)


def _spec(graph: Pipeline, at_exit: BaseNode | None, runtime: VertexRuntime) -> dict[str, Any]:
    """Return what TFX makes of a graph."""
    from google.protobuf import json_format
    from tfx import version
    from tfx.components.example_gen.component import FileBasedExampleGen
    from tfx.orchestration.kubeflow.v2 import pipeline_builder, step_builder

    # It asks whether a stage is one of the two; by way of `tfx.components` that would import every component there is.
    step_builder.components = SimpleNamespace(FileBasedExampleGen=FileBasedExampleGen, InfraValidator=_NoInfraValidator)
    builder = pipeline_builder.PipelineBuilder(
        graph, runtime.image, default_commands=[], exit_handler=at_exit, use_pipeline_spec_2_1=True
    )
    spec = builder.build()
    spec.sdk_version, spec.schema_version = f"tfx-{version.__version__}", _SCHEMA_VERSION
    return json_format.MessageToDict(spec)


class _NoInfraValidator:
    """Stands for a component of which the graph has none."""


def write_job(job: dict[str, Any], output: Path) -> None:
    """Write a job with sorted keys, in one rename, so that two compilations can be compared byte by byte."""
    scratch = output.with_name(f".{output.name}.{os.getpid()}")
    scratch.write_text(json.dumps(job, indent=2, sort_keys=True) + "\n", "utf-8")
    scratch.replace(output)
