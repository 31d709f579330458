"""ColumnarExampleValidator: what TFX's ExampleValidator leaves, in a process that has no TensorFlow."""

from __future__ import annotations

from tfx.dsl.components.base import base_component
from tfx.types import channel, component_spec, standard_artifacts

from pipeline.components.executors import ExecutorByPath

EXECUTOR_MODULE = "pipeline.components.example_validator_executor"


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}
    PARAMETERS = {"code_digest": component_spec.ExecutionParameter(type=str)}


class ColumnarExampleValidator(base_component.BaseComponent):
    """Compares statistics with a schema and writes down the anomalies."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = ExecutorByPath(f"{EXECUTOR_MODULE}.Executor")

    def __init__(self, statistics: channel.Channel, schema: channel.Channel, code_digest: str):
        """Compare every split; the digest is part of the cache key."""
        anomalies = channel.Channel(type=standard_artifacts.ExampleAnomalies)
        super().__init__(spec=_Spec(statistics=statistics, schema=schema, anomalies=anomalies, code_digest=code_digest))
