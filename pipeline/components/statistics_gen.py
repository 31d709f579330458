"""ColumnarStatisticsGen: what TFX's StatisticsGen leaves, without Beam."""

from __future__ import annotations

import os
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.types.artifact import Artifact
from tfx.utils import io_utils

from pipeline.artifacts import STATISTICS_FILE


def read_statistics(statistics: Artifact) -> dict[str, statistics_pb2.DatasetFeatureStatistics]:
    """Return the statistics by split, in the order of the splits."""
    found = {}
    for split in artifact_utils.decode_split_names(statistics.split_names):
        content = io_utils.read_bytes_file(_file(statistics, split))
        found[split] = statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets[0]
    return found


def _file(statistics: Artifact, split: str) -> str:
    return os.path.join(artifact_utils.get_split_uri([statistics], split), STATISTICS_FILE)


class Executor(base_executor.BaseExecutor):
    """Describes every split."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Write FeatureStats.pb for every split."""
        from pipeline.columnar.statistics import statistics  # not at the top: the graph is built without it

        examples = artifact_utils.get_single_instance(input_dict["examples"])
        result = artifact_utils.get_single_instance(output_dict["statistics"])
        result.split_names = examples.split_names
        result.span = examples.span
        for split in artifact_utils.decode_split_names(examples.split_names):
            found = statistics(sorted(fileio.glob(os.path.join(artifact_utils.get_split_uri([examples], split), "*"))))
            io_utils.write_bytes_file(_file(result, split), found.SerializeToString())


class _Spec(component_spec.ComponentSpec):
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    PARAMETERS = {"code_digest": component_spec.ExecutionParameter(type=str)}


class ColumnarStatisticsGen(base_component.BaseComponent):
    """Describes the examples."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: channel.Channel, code_digest: str):
        """Describe every split of some examples; the digest is part of the cache key."""
        statistics_channel = channel.Channel(type=standard_artifacts.ExampleStatistics)
        super().__init__(spec=_Spec(examples=examples, statistics=statistics_channel, code_digest=code_digest))
