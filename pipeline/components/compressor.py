"""Compressor: the trained Keras model to gated `.tflite` variants and the package of the best."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.utils import io_utils

from models import datasets, serving
from models.compression import quantization, report
from pipeline.artifacts import EDGE_PACKAGE_FOLDER, EDGE_REPORT_FILE, EdgeModel, keras_model_path
from pipeline.edge_package import write_package
from pipeline.entrypoints.training import TrainSettings
from preprocessing.labels import class_names

EVAL_BATCH_SIZE = 512


class CompressSettings(TrainSettings):
    """What the Compressor needs of the config."""

    compression: quantization.CompressionConfig
    code_digest: str


class Executor(base_executor.BaseExecutor):
    """Converts, measures on the whole eval split, gates, chooses, packs."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave report.json, variants/ and, if a variant passed, package/ in the EdgeModel artifact."""
        settings = CompressSettings.model_validate_json(exec_properties["settings"])
        model = serving.load_keras(keras_model_path(artifact_utils.get_single_uri(input_dict["model"])))
        transform = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        spec = settings.example_spec(transform)
        train, evaluation = (_files(input_dict["examples"], split) for split in ("train", "eval"))
        config = settings.compression.representative
        representative, _ = datasets.take(datasets.read(train, spec, EVAL_BATCH_SIZE, config.seed), config.num_examples)

        def batches():
            return datasets.read(evaluation, spec, EVAL_BATCH_SIZE).as_numpy_iterator()

        compressed = report.compress(
            model, settings.label.kind, settings.metrics, settings.compression, representative, batches
        )
        uri = artifact_utils.get_single_uri(output_dict["edge_model"])
        _write_bytes({f"variants/{name}.tflite": content for name, content in compressed.contents.items()}, uri)
        if compressed.chosen:
            chosen = next(r for r in compressed.reports if r.name == compressed.chosen)
            run_id = (self._context.pipeline_run_id if self._context else None) or ""
            package = os.path.join(uri, EDGE_PACKAGE_FOLDER)
            classes = class_names(settings.label, transform)
            _write_bytes(write_package(compressed.contents[chosen.name], chosen, settings, transform, classes, run_id), package)
        content = {"variants": [r.to_dict() for r in compressed.reports], "chosen": compressed.chosen}
        io_utils.write_string_file(os.path.join(uri, EDGE_REPORT_FILE), json.dumps(content, indent=1))


def _files(examples: list[Any], split: str) -> list[str]:
    return [path for uri in artifact_utils.get_split_uris(examples, split) for path in fileio.glob(os.path.join(uri, "*"))]


def _write_bytes(files: dict[str, bytes], folder: str) -> None:
    for name, content in files.items():
        path = os.path.join(folder, name)
        fileio.makedirs(os.path.dirname(path))
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content)


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"edge_model": component_spec.ChannelParameter(type=EdgeModel)}
    PARAMETERS = {"settings": component_spec.ExecutionParameter(type=str)}


class Compressor(base_component.BaseComponent):
    """Makes the edge model."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: channel.Channel,
        examples: channel.Channel,
        transform_graph: channel.Channel,
        settings: CompressSettings,
    ):
        """Compress a model.

        Args:
          model: with the Keras file the Trainer leaves.
          examples: transformed, splits train and eval.
          transform_graph: that made them.
          settings: what is needed of the config.
        """
        spec = _Spec(
            model=model,
            examples=examples,
            transform_graph=transform_graph,
            settings=settings.model_dump_json(),
            edge_model=channel.Channel(type=EdgeModel),
        )
        super().__init__(spec=spec)
