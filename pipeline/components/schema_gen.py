"""InferredSchema: what TFX's SchemaGen leaves, in a process that has no TensorFlow. Goes by SchemaGen's name."""

from __future__ import annotations

from tfx.dsl.components.base import base_component
from tfx.types import channel, component_spec, standard_artifacts

from pipeline.components.executors import ExecutorByPath

EXECUTOR_MODULE = "pipeline.components.schema_gen_executor"


class _Spec(component_spec.ComponentSpec):
    INPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}
    PARAMETERS = {"code_digest": component_spec.ExecutionParameter(type=str)}


class InferredSchema(base_component.BaseComponent):
    """Infers a schema from the statistics of all splits, without shapes."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = ExecutorByPath(f"{EXECUTOR_MODULE}.Executor")

    def __init__(self, statistics: channel.Channel, code_digest: str):
        """Infer from statistics; the digest is part of the cache key."""
        schema = channel.Channel(type=standard_artifacts.Schema)
        super().__init__(spec=_Spec(statistics=statistics, schema=schema, code_digest=code_digest))
