"""What TFX's ExampleValidator does, by TFDV's own validation, in a process that has no TensorFlow.

TFX's executor imports TFDV with everything in it, and TensorFlow with that, for two calls of C++.
"""

from __future__ import annotations

import os
from typing import Any

from tensorflow_data_validation.anomalies.proto import validation_config_pb2, validation_metadata_pb2
from tensorflow_data_validation.pywrap.tensorflow_data_validation_extension import validation
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from pipeline.artifacts import ANOMALIES_FILE
from pipeline.components.statistics_gen import read_statistics


class Executor(base_executor.BaseExecutor):
    """Compares the statistics of every split with the schema."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Write the anomalies of every split, none being an empty message, and which splits have none."""
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        schema_file = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        schema = io_utils.parse_pbtxt_file(schema_file, schema_pb2.Schema())
        anomalies.split_names, anomalies.span = statistics.split_names, statistics.span
        blessed = {}
        for split, described in read_statistics(statistics).items():
            found = validate(described, schema)
            blessed[split] = int(not found.anomaly_info and not found.HasField("dataset_anomaly_info"))
            target = os.path.join(artifact_utils.get_split_uri([anomalies], split), ANOMALIES_FILE)
            io_utils.write_bytes_file(target, found.SerializeToString())
        anomalies.set_json_value_custom_property("blessed", blessed)


def validate(statistics: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema) -> anomalies_pb2.Anomalies:
    """Return what `tfdv.validate_statistics` returns, with the schema that would fit left out: nobody reads it."""
    nothing = b""
    found = validation.ValidateFeatureStatistics(
        statistics.SerializeToString(),
        schema.SerializeToString(),
        nothing,  # environment
        nothing,  # statistics of the span before, of serving, of the version before
        nothing,
        nothing,
        validation_metadata_pb2.FeaturesNeededProto().SerializeToString(),
        validation_config_pb2.ValidationConfig().SerializeToString(),
        False,
    )
    return anomalies_pb2.Anomalies.FromString(found)
