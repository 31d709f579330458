"""ColumnarTransform: what TFX's Transform leaves, without Beam."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import pydantic
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.utils import io_utils

from pipeline.entrypoints.transforming import TransformSettings, preprocessing_fn


class ColumnarTransformSettings(pydantic.BaseModel):
    """What the stage needs of the config, and the splits it learns from and transforms."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    transform: TransformSettings
    analyzed: tuple[str, ...]
    transformed: tuple[str, ...]
    code_digest: str


class Executor(base_executor.BaseExecutor):
    """Learns the transform and applies it."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave the transform graph and the transformed examples.

        Raises:
          UnsupportedAnalyzerError: an analyzer that only TFT's Beam implementation knows.
        """
        from pipeline.columnar.transforming import Split, transform  # not at the top: the graph is built without it

        settings = ColumnarTransformSettings.model_validate_json(exec_properties["settings"])
        examples = input_dict["examples"]
        transformed = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        transformed.split_names = artifact_utils.encode_split_names(list(settings.transformed))
        schema_folder = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.parse_pbtxt_file(io_utils.get_only_uri_in_dir(schema_folder), schema_pb2.Schema())
        transform(
            functools.partial(preprocessing_fn, custom_config={"settings": settings.transform.model_dump_json()}),
            schema,
            _files(examples, settings.analyzed),
            [
                Split(_files(examples, [split]), artifact_utils.get_split_uri([transformed], split))
                for split in settings.transformed
            ],
            artifact_utils.get_single_uri(output_dict["transform_graph"]),
        )


def _files(examples: list[Any], splits: Sequence[str]) -> list[str]:
    folders = [uri for split in splits for uri in artifact_utils.get_split_uris(examples, split)]
    return [path for folder in folders for path in sorted(fileio.glob(os.path.join(folder, "*")))]


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "transformed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    PARAMETERS = {"settings": component_spec.ExecutionParameter(type=str)}


class ColumnarTransform(base_component.BaseComponent):
    """Learns the transform on some splits and applies it to others."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: channel.Channel, schema: channel.Channel, settings: ColumnarTransformSettings):
        """Transform examples.

        Args:
          examples: as ingested.
          schema: of their columns.
          settings: what is needed of the config.
        """
        spec = _Spec(
            examples=examples,
            schema=schema,
            settings=settings.model_dump_json(),
            transform_graph=channel.Channel(type=standard_artifacts.TransformGraph),
            transformed_examples=channel.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec=spec)
