"""What the Compressor does, apart from the component: the graph is built without TensorFlow."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import io_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from models import datasets
from models.compression.compress import compress
from models.compression.data import ArraySet, EvaluationBatch, RecordFiles, write_arrays
from models.compression.plan import Problem, RawExamples
from models.compression.report import Compressed
from models.training import FitConfig
from pipeline.artifacts import EDGE_PACKAGE_FOLDER, EDGE_REPORT_FILE, keras_model_path, training_report_path
from pipeline.columnar.slices import slice_name, slices_of_rows
from pipeline.components.compressor import CompressSettings
from pipeline.edge_package import write_package
from pipeline.json_text import to_json
from pipeline.progress import announce
from preprocessing.features import transformed_name

BATCH_SIZE = 1024
_DESCRIBED = ("techniques", "inputs", "size_bytes", "gzip_bytes", "latency_us", "metrics", "passed", "error")
_TRAINED, _KEPT_FOLDERS = "trained.keras", ("logs", "tensorboard")


class Executor(base_executor.BaseExecutor):
    """Makes, judges and packs the variants."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave report.json, variants/, logs/ and, if a variant passed, package/ in the EdgeModel; bless it or not."""
        settings = CompressSettings.model_validate_json(exec_properties["settings"])
        transform = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        edge_model = artifact_utils.get_single_instance(output_dict["edge_model"])
        with tempfile.TemporaryDirectory(prefix="compression-") as folder:
            problem = _problem(settings, input_dict, transform, folder)
            try:
                compressed = compress(problem, settings.compression, os.path.join(folder, "work"), announce)
            finally:
                _keep_logs(os.path.join(folder, "work"), edge_model.uri)
            for report in compressed.reports:
                if report.name in compressed.files:
                    _copy(compressed.files[report.name], os.path.join(edge_model.uri, "variants", f"{report.name}.tflite"))
            if compressed.chosen:
                # Vertex tells its containers no run; where the artifact lies tells which it was.
                run_id = (self._context.pipeline_run_id if self._context else None) or edge_model.uri
                files = write_package(compressed, problem, settings, transform, run_id)
                for name, content in files.items():
                    _write(os.path.join(edge_model.uri, EDGE_PACKAGE_FOLDER, name), content)
        io_utils.write_string_file(os.path.join(edge_model.uri, EDGE_REPORT_FILE), to_json(compressed.to_dict()))
        _describe(edge_model, compressed)
        _bless(artifact_utils.get_single_instance(output_dict["blessing"]), compressed)


def _problem(
    settings: CompressSettings, inputs: dict[str, list[Any]], transform: tft.TFTransformOutput, folder: str
) -> Problem:
    keras_file = os.path.join(folder, _TRAINED)
    _copy(keras_model_path(artifact_utils.get_single_uri(inputs["model"])), keras_file)
    trained = json.loads(io_utils.read_string_file(training_report_path(artifact_utils.get_single_uri(inputs["model"]))))
    spec = settings.example_spec(transform)
    train = RecordFiles(tuple(_files(inputs["examples"], "train")), spec)
    raw_files = tuple(_files(inputs["raw_examples"], "eval"))
    return Problem(
        model=keras_file,
        model_module=settings.model_module,
        model_config=trained["model"],  # with what a search found
        features=spec.features,
        head=settings.fitted_head(transform, train.dataset(BATCH_SIZE, None)),
        fit=FitConfig.model_validate(trained["fit"]),
        metrics=settings.metrics,
        train=train,
        evaluation=_evaluation(settings, transform, raw_files, os.path.join(folder, "evaluation")),
        raw=RawExamples(artifact_utils.get_single_uri(inputs["transform_graph"]), raw_files),
    )


def _evaluation(settings: CompressSettings, transform: tft.TFTransformOutput, files: tuple[str, ...], folder: str) -> ArraySet:
    """Transform the raw rows of the eval split: beside the features they have the columns that slices are made of."""
    layer, raw_spec = transform.transform_features_layer(), transform.raw_feature_spec()
    spec, decoder = settings.example_spec(transform), ExamplesToRecordBatchDecoder()

    def batches() -> Iterator[EvaluationBatch]:
        for records in datasets.serialized(files, BATCH_SIZE):
            raw = tf.io.parse_example(records, raw_spec)
            outputs = layer(raw)
            features = {f.name: outputs[f.name].numpy().astype(np.int32 if f.num_ids else np.float32) for f in spec.features}
            block = decoder.DecodeBatch(records.numpy().tolist())
            slices = [_slice_names(block, columns) for columns in settings.slices]
            yield EvaluationBatch(features, outputs[transformed_name(settings.label.column)].numpy(), slices)

    return write_arrays(folder, batches())


def _slice_names(block: pa.RecordBatch, columns: Sequence[str]) -> list[str]:
    keys, positions = slices_of_rows(block, columns)
    names = [*map(slice_name, keys), ""]  # -1 is the last one
    return [names[position] for position in positions]


def _files(examples: list[Any], split: str) -> list[str]:
    uris = artifact_utils.get_split_uris(examples, split)
    return sorted(path for uri in uris for path in fileio.glob(os.path.join(uri, "*")))


def _copy(source: str, destination: str) -> None:
    fileio.makedirs(os.path.dirname(destination))
    tf.io.gfile.copy(source, destination, overwrite=True)


def _write(path: str, content: bytes) -> None:
    fileio.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def _keep_logs(work: str, uri: str) -> None:
    """Keep what explains a result: the log of every job and the TensorBoard summaries of those that trained."""
    for folder, _, names in os.walk(work):
        if any(part in _KEPT_FOLDERS for part in os.path.relpath(folder, work).split(os.sep)):
            for name in names:
                path = os.path.join(folder, name)
                _copy(path, os.path.join(uri, os.path.relpath(path, work)))


def _describe(artifact: Artifact, compressed: Compressed) -> None:
    """Put what a search through ML Metadata asks for on the artifact."""
    artifact.set_string_custom_property("variants", ",".join(report.name for report in compressed.reports))
    artifact.set_string_custom_property("chosen", compressed.chosen or "")
    artifact.set_string_custom_property("chosen_raw", compressed.chosen_raw or "")
    for report in compressed.reports:
        facts = {key: getattr(report, key) for key in _DESCRIBED}
        artifact.set_string_custom_property(f"variant:{report.name}", to_json(facts))
        if report.name == compressed.chosen:
            artifact.set_string_custom_property("recipe", ",".join(report.techniques))
            artifact.set_int_custom_property("size_bytes", report.size_bytes)
            artifact.set_int_custom_property("gzip_bytes", report.gzip_bytes)
            if report.latency_us is not None:
                artifact.set_float_custom_property("latency_us", report.latency_us)
            for name, value in report.metrics.items():
                artifact.set_float_custom_property(f"metric_{name}", float(value))


def _bless(blessing: Artifact, compressed: Compressed) -> None:
    blessed = compressed.blessed
    # As TFX's own InfraValidator marks it, for Pusher to read.
    io_utils.write_string_file(os.path.join(blessing.uri, "INFRA_BLESSED" if blessed else "INFRA_NOT_BLESSED"), "")
    blessing.set_int_custom_property("blessed", int(blessed))
