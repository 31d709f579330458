"""DataGate: stops the run on anomalies, which ExampleValidator only writes down."""

import json
import os

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies
from tfx.utils import io_utils

from pipeline.artifacts import ANOMALIES_FILE, APPROVAL_FILE, DataApproval
from pipeline.errors import DataError

NUM_SHOWN = 5


@component
def DataGate(anomalies: InputArtifact[ExampleAnomalies], approval: OutputArtifact[DataApproval], code_digest: Parameter[str]):
    """Fail with every anomaly named; otherwise leave an approval that later stages wait for."""
    del code_digest  # part of the cache key
    found = read_anomalies(anomalies)
    if found:
        more = f"; and {len(found) - NUM_SHOWN} more" if len(found) > NUM_SHOWN else ""
        raise DataError(
            f"{len(found)} anomalies against the schema: {'; '.join(found[:NUM_SHOWN])}{more}. "
            "Mend the data, or curate the schema (`schema_file`) if the new values are right."
        )
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    io_utils.write_string_file(os.path.join(approval.uri, APPROVAL_FILE), json.dumps({"splits": splits, "anomalies": []}))


def read_anomalies(artifact: ExampleAnomalies) -> list[str]:
    """Return one sentence per split and feature with an anomaly, sorted."""
    found = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        path = os.path.join(artifact_utils.get_split_uri([artifact], split), ANOMALIES_FILE)
        anomalies = anomalies_pb2.Anomalies.FromString(io_utils.read_bytes_file(path))
        for feature, info in anomalies.anomaly_info.items():
            found.append(f"{split}: column '{feature}': {info.short_description}: {info.description}".rstrip(". "))
        if anomalies.dataset_anomaly_info.description:
            found.append(f"{split}: {anomalies.dataset_anomaly_info.description}".rstrip(". "))
    return sorted(found)
