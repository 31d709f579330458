"""Compressor: the trained Keras model to judged `.tflite` variants and the package of the best."""

from __future__ import annotations

from tfx.dsl.components.base import base_component
from tfx.types import channel, component_spec, standard_artifacts

from models.compression.config import CompressionConfig
from pipeline.artifacts import EdgeModel
from pipeline.components.executors import ExecutorByPath
from pipeline.entrypoints.training import TrainSettings

EXECUTOR_MODULE = "pipeline.components.compressor_executor"


class CompressSettings(TrainSettings):
    """What the Compressor needs of the config."""

    compression: CompressionConfig
    slices: tuple[tuple[str, ...], ...]
    code_digest: str


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "raw_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "edge_model": component_spec.ChannelParameter(type=EdgeModel),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    PARAMETERS = {"settings": component_spec.ExecutionParameter(type=str)}


class Compressor(base_component.BaseComponent):
    """Makes the edge model."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = ExecutorByPath(f"{EXECUTOR_MODULE}.Executor")

    def __init__(
        self,
        model: channel.Channel,
        examples: channel.Channel,
        raw_examples: channel.Channel,
        transform_graph: channel.Channel,
        settings: CompressSettings,
    ):
        """Compress a model.

        Args:
          model: with the Keras file the Trainer leaves.
          examples: transformed; the split train is trained on.
          raw_examples: as ingested; the split eval is judged on, by slices as well.
          transform_graph: that made the transformed ones.
          settings: what is needed of the config.
        """
        spec = _Spec(
            model=model,
            examples=examples,
            raw_examples=raw_examples,
            transform_graph=transform_graph,
            settings=settings.model_dump_json(),
            edge_model=channel.Channel(type=EdgeModel),
            blessing=channel.Channel(type=standard_artifacts.InfraBlessing),
        )
        super().__init__(spec=spec)
