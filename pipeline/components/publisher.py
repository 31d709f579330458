"""Pusher and EdgePusher: a version appears in one rename, or not at all."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from tfx.components.pusher import executor as tfx_pusher
from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts, standard_component_specs
from tfx.types.artifact import Artifact
from tfx.utils import io_utils, path_utils

from pipeline.artifacts import (
    DESTINATION_PROPERTY,
    EDGE_PACKAGE_FOLDER,
    EDGE_REPORT_FILE,
    PUSHED_PROPERTY,
    VERSION_PROPERTY,
    EdgeModel,
    PushedEdgeModel,
)
from pipeline.publishing import publish


class Target(NamedTuple):
    """Where versions go.

    Attributes:
      folder: of the versions.
      newest: the version that is there. Part of the cache key: what was pushed once, and replaced since, is pushed again.
    """

    folder: str
    newest: int


class PusherExecutor(tfx_pusher.Executor):
    """Pushes a blessed SavedModel to a folder of versions."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Publish the model if it is blessed; mark the artifact either way."""
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            _mark(pushed, None)
            return
        destination = json.loads(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY])
        model = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY])
        version = publish(path_utils.serving_model_path(model.uri), destination["filesystem"]["base_directory"])
        _mark(pushed, version)


class EdgePusherExecutor(base_executor.BaseExecutor):
    """Pushes the package of an edge model whose server model is blessed."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Publish the package if the model is blessed and a variant passed; mark the artifact either way."""
        pushed = artifact_utils.get_single_instance(output_dict["pushed_edge_model"])
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        edge = artifact_utils.get_single_instance(input_dict["edge_model"])
        report = json.loads(io_utils.read_string_file(os.path.join(edge.uri, EDGE_REPORT_FILE)))
        if blessing.get_int_custom_property("blessed") != 1 or report["chosen"] is None:
            _mark(pushed, None)
            return
        _mark(pushed, publish(os.path.join(edge.uri, EDGE_PACKAGE_FOLDER), exec_properties["destination"]))


def _mark(pushed: Artifact, destination: str | None) -> None:
    pushed.set_int_custom_property(PUSHED_PROPERTY, int(destination is not None))
    pushed.set_string_custom_property(DESTINATION_PROPERTY, destination or "")
    pushed.set_string_custom_property(VERSION_PROPERTY, os.path.basename(destination or ""))


def model_pusher(
    model: channel.Channel,
    blessing: channel.Channel,
    target: Target,
    code_digest: str,
    edge_blessing: channel.Channel | None = None,
) -> Pusher:
    """Return TFX's Pusher with our executor: `<destination>/<version>/saved_model.pb`.

    Args:
      model: to push.
      blessing: of the model.
      target: where to.
      code_digest: for the cache key.
      edge_blessing: of the edge model, if the server model must not be pushed without it.
    """
    return Pusher(
        model=model,
        model_blessing=blessing,
        infra_blessing=edge_blessing,
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=target.folder)
        ),
        custom_config={"code_digest": code_digest, "newest": target.newest},
        custom_executor_spec=executor_spec.ExecutorClassSpec(PusherExecutor),
    )


class _EdgePusherSpec(component_spec.ComponentSpec):
    INPUTS = {
        "edge_model": component_spec.ChannelParameter(type=EdgeModel),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"pushed_edge_model": component_spec.ChannelParameter(type=PushedEdgeModel)}
    PARAMETERS = {
        "destination": component_spec.ExecutionParameter(type=str),
        "newest": component_spec.ExecutionParameter(type=int),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }


class EdgePusher(base_component.BaseComponent):
    """Pushes `<destination>/<version>/` with model.tflite, metadata.json, vocabularies and SHA256SUMS."""

    SPEC_CLASS = _EdgePusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(EdgePusherExecutor)

    def __init__(self, edge_model: channel.Channel, blessing: channel.Channel, target: Target, code_digest: str):
        spec = _EdgePusherSpec(
            edge_model=edge_model,
            model_blessing=blessing,
            destination=target.folder,
            newest=target.newest,
            code_digest=code_digest,
            pushed_edge_model=channel.Channel(type=PushedEdgeModel),
        )
        super().__init__(spec=spec)
