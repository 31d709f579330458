"""Transform without Beam: analyze the training split, save the transform graph, apply it to every split block by block."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.tfxio.tensor_to_arrow import TensorsToRecordBatchConverter

from models import datasets
from pipeline.columnar.analysis import Analysis, PreprocessingFn
from pipeline.columnar.shards import write_shard

BATCH_SIZE = 4096


@dataclass(frozen=True)
class Split:
    """Where a split's examples are and where the transformed ones go."""

    files: Sequence[str]
    folder: str


def transform(
    preprocessing_fn: PreprocessingFn, schema: schema_pb2.Schema, analyzed: Sequence[str], splits: Sequence[Split], output: str
) -> None:
    """Leave what TFX's Transform leaves: the transform graph with its metadata, and transformed examples.

    Args:
      preprocessing_fn: from {column: Tensor or SparseTensor} to {transformed name: Tensor or SparseTensor}.
      schema: of the raw examples.
      analyzed: TFRecord files of tf.Example to learn from.
      splits: what to transform.
      output: folder of the transform graph.

    Raises:
      UnsupportedAnalyzerError: the function has an analyzer that only TFT's Beam implementation knows.
    """
    feature_spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    with tempfile.TemporaryDirectory(prefix="transform-") as folder:
        analysis = Analysis(preprocessing_fn, impl_helper.get_type_specs_from_feature_specs(feature_spec), folder)
        analysis.run(lambda function: batches(analyzed, feature_spec, function))
        _save(analysis, schema, output)
    layer = tft.TFTransformOutput(output).transform_features_layer()
    for split in splits:
        _apply(layer, feature_spec, split)


def batches(
    files: Sequence[str], feature_spec: Mapping[str, object], function: tf.types.experimental.ConcreteFunction
) -> Iterator[dict[str, np.ndarray]]:
    """Give the values of a function of {column: batch} for all batches of examples, in an order that is always the same."""

    def computed(records: tf.Tensor) -> dict[str, tf.Tensor]:
        return function(tf.io.parse_example(records, feature_spec))

    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    return datasets.serialized(files, BATCH_SIZE).map(computed, **parallel).prefetch(2).as_numpy_iterator()


def _save(analysis: Analysis, schema: schema_pb2.Schema, output: str) -> None:
    paths = tft.TFTransformOutput
    saved_model = os.path.join(output, paths.TRANSFORM_FN_DIR)
    analysis.save(saved_model)
    inner = os.path.join(saved_model, impl_helper.METADATA_DIR_NAME)
    outer = os.path.join(output, paths.TRANSFORMED_METADATA_DIR)
    metadata_io.write_metadata(metadata_io.read_metadata(inner), outer)
    tf.io.gfile.rmtree(inner)
    with tf.io.gfile.GFile(os.path.join(outer, paths.ASSET_MAP), "w") as file:
        file.write(json.dumps(analysis.assets))
    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), os.path.join(output, paths.RAW_METADATA_DIR))


def _apply(layer: tf.keras.Model, feature_spec: Mapping[str, object], split: Split) -> None:
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def transformed(records: tf.Tensor) -> dict[str, tf.Tensor]:
        return layer(tf.io.parse_example(records, feature_spec))

    function = transformed.get_concrete_function()
    converter = TensorsToRecordBatchConverter(
        {name: tf.type_spec_from_value(x) for name, x in function.structured_outputs.items()}
    )
    encoder = RecordBatchToExamplesEncoder()
    tf.io.gfile.makedirs(split.folder)
    for position, file in enumerate(sorted(split.files)):
        blocks = datasets.serialized([file], BATCH_SIZE).map(function, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
        records = (record for tensors in blocks for record in encoder.encode(converter.convert(tensors)))
        write_shard(os.path.join(split.folder, f"transformed_examples-{position:05d}-of-{len(split.files):05d}.gz"), records)
