"""Tuner: from transformed examples to the best hyperparameters, and what a search learnt on the way."""

from __future__ import annotations

from tfx.dsl.components.base import base_component
from tfx.types import channel, component_spec, standard_artifacts

from models.tuning.config import TunerConfig
from models.tuning.space import Parameter
from pipeline.components.executors import ExecutorByPath
from pipeline.entrypoints.training import TrainSettings

EXECUTOR_MODULE = "pipeline.components.tuner_executor"


class TuneSettings(TrainSettings):
    """What the Tuner needs of the config."""

    tuner: TunerConfig
    space: dict[str, Parameter]
    code_digest: str


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "best_hyperparameters": component_spec.ChannelParameter(type=standard_artifacts.HyperParameters),
        "tuner_results": component_spec.ChannelParameter(type=standard_artifacts.TunerResults),
    }
    PARAMETERS = {"settings": component_spec.ExecutionParameter(type=str)}


class Tuner(base_component.BaseComponent):
    """Searches for hyperparameters. The outputs are named and typed as those of TFX's own Tuner."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = ExecutorByPath(f"{EXECUTOR_MODULE}.Executor")

    def __init__(self, examples: channel.Channel, transform_graph: channel.Channel, settings: TuneSettings):
        """Search.

        Args:
          examples: transformed; the split train is trained on, the split eval is judged on.
          transform_graph: that made them.
          settings: what is needed of the config.
        """
        spec = _Spec(
            examples=examples,
            transform_graph=transform_graph,
            settings=settings.model_dump_json(),
            best_hyperparameters=channel.Channel(type=standard_artifacts.HyperParameters),
            tuner_results=channel.Channel(type=standard_artifacts.TunerResults),
        )
        super().__init__(spec=spec)
