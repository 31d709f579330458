"""What TFX's SchemaGen does, by TFDV's own inference, in a process that has no TensorFlow.

TFX's executor imports TFDV with everything in it, and TensorFlow with that, for two calls of C++.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tensorflow_data_validation.pywrap.tensorflow_data_validation_extension import validation
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from pipeline.artifacts import SCHEMA_FILE
from pipeline.components.statistics_gen import read_statistics

# Of strings with no more values than this the values are listed; TFDV's own default.
MOST_VALUES = 100


class Executor(base_executor.BaseExecutor):
    """Infers a schema, without shapes, that the statistics of every split conform to."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Write the schema."""
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        target = os.path.join(artifact_utils.get_single_uri(output_dict["schema"]), SCHEMA_FILE)
        io_utils.write_pbtxt_file(target, infer([*read_statistics(statistics).values()]))


def infer(splits: Sequence[statistics_pb2.DatasetFeatureStatistics]) -> schema_pb2.Schema:
    """Return what `tfdv.infer_schema` returns for the first split, after `tfdv.update_schema` for the others.

    Args:
      splits: one at least, of single features: neither sparse nor weighted ones.
    """
    first, *others = (split.SerializeToString() for split in splits)
    schema = schema_pb2.Schema.FromString(validation.InferSchema(first, MOST_VALUES, False))
    for other in others:
        schema = schema_pb2.Schema.FromString(validation.UpdateSchema(schema.SerializeToString(), other, MOST_VALUES))
    return schema
