"""TFMA's files, read and written through its protocol buffers: TFMA itself takes seconds to import and is not needed for it.

What is written here `tfma.load_eval_result` and TFMA's views read; what TFMA's evaluator wrote is read here.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2
from tensorflow_model_analysis.version import VERSION
from tfx.dsl.io import fileio

from pipeline.ingest.tfrecord_blocks import read_records

METRICS_FILE, CONFIG_FILE = "metrics-00000-of-00001.tfrecord", "eval_config.json"

SliceKey = tuple[tuple[str, Any], ...]
"""((column, value), ...); () is all rows. A value is bytes, str, int or float."""


class SliceValues(NamedTuple):
    """Metrics of one model in one slice."""

    slice_key: SliceKey
    values: dict[str, float]


def write(
    folder: str,
    results: Iterable[tuple[SliceKey, Mapping[str, Mapping[str, float]]]],
    config: config_pb2.EvalConfig,
    models: Mapping[str, str],
    data: str,
) -> None:
    """Write an evaluation.

    Args:
      folder: of the evaluation; is made.
      results: (slice, {model: {metric: value}}).
      config: what TFMA would have been asked for.
      models: {name: path}. TFMA leaves out the name of an only model, and so is it done here.
      data: path of the examples.
    """
    fileio.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, METRICS_FILE)) as writer:
        for slice_key, by_model in results:
            record = metrics_for_slice_pb2.MetricsForSlice()
            for column, value in slice_key:
                _set(record.slice_key.single_slice_keys.add(column=column), value)
            for model, metrics in by_model.items():
                for name, number in sorted(metrics.items()):
                    added = record.metric_keys_and_values.add()
                    added.key.name, added.key.model_name = name, model if len(models) > 1 else ""
                    added.value.double_value.value = number
            writer.write(record.SerializeToString())
    run = config_pb2.EvalRun(eval_config=config, version=VERSION, data_location=data, model_locations=models)
    with fileio.open(os.path.join(folder, CONFIG_FILE), "w") as file:
        file.write(json_format.MessageToJson(run))


def _set(key: metrics_for_slice_pb2.SingleSliceKey, value: Any) -> None:
    if isinstance(value, int):
        key.int64_value = value
    elif isinstance(value, float):
        key.float_value = value
    else:
        key.bytes_value = value.encode() if isinstance(value, str) else value


def read(folder: str) -> dict[str, list[SliceValues]]:
    """Read an evaluation.

    Args:
      folder: as `write` or TFMA's evaluator left it.

    Returns:
      {model, "" where there is only one: its slices}. Differences between models and what is no number are left out.
    """
    found: dict[str, list[SliceValues]] = defaultdict(list)
    for record in _records(folder):
        key = tuple((part.column, getattr(part, part.WhichOneof("kind"))) for part in record.slice_key.single_slice_keys)
        by_model: dict[str, dict[str, float]] = defaultdict(dict)
        for item in record.metric_keys_and_values:
            if item.value.WhichOneof("type") == "double_value" and not item.key.is_diff:
                by_model[item.key.model_name][item.key.name] = item.value.double_value.value
        for model, values in by_model.items():
            found[model].append(SliceValues(key, values))
    return found


def _records(folder: str) -> Iterator[metrics_for_slice_pb2.MetricsForSlice]:
    files = sorted(fileio.glob(os.path.join(folder, "metrics-*-of-*")))
    if not files:
        raise FileNotFoundError(f"No metrics in {folder}: it holds no evaluation.")
    for file in files:
        yield from map(metrics_for_slice_pb2.MetricsForSlice.FromString, read_records(file))
