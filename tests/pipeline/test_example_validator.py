"""Anomalies are those that TFDV finds."""

from __future__ import annotations

import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from pipeline.components.example_validator_executor import validate

SCHEMA = text_format.Parse(
    """
    feature { name: "fare" type: FLOAT float_domain { min: 0 max: 100 } presence { min_fraction: 1.0 min_count: 1 } }
    feature { name: "payment" type: BYTES domain: "payments" presence { min_count: 1 } }
    string_domain { name: "payments" value: "Cash" value: "Credit Card" }
    """,
    schema_pb2.Schema(),
)


def described(fare_max: float = 90.0, fare_missing: int = 0, payment: str = "Cash", extra: bool = False):
    """Return statistics of ten rows."""
    common = f"num_non_missing: {10 - fare_missing} num_missing: {fare_missing} min_num_values: 1 max_num_values: 1"
    text = f"""
        name: "train" num_examples: 10
        features {{ path {{ step: "fare" }} type: FLOAT
          num_stats {{ common_stats {{ {common} tot_num_values: {10 - fare_missing} }} min: 1 max: {fare_max} mean: 5 }} }}
        features {{ path {{ step: "payment" }} type: STRING
          string_stats {{ common_stats {{ num_non_missing: 10 min_num_values: 1 max_num_values: 1 tot_num_values: 10 }}
            unique: 1 rank_histogram {{ buckets {{ label: "{payment}" sample_count: 10 }} }} }} }}
    """
    if extra:
        text += """
        features { path { step: "tip" } type: INT
          num_stats { common_stats { num_non_missing: 10 min_num_values: 1 max_num_values: 1 tot_num_values: 10 } max: 3 } }
        """
    return statistics_pb2.DatasetFeatureStatisticsList(
        datasets=[text_format.Parse(text, statistics_pb2.DatasetFeatureStatistics())]
    )


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({}, set()),
        ({"fare_max": 500.0}, {"fare"}),
        ({"fare_missing": 4}, {"fare"}),
        ({"payment": "Barter"}, {"payment"}),
        ({"extra": True}, {"tip"}),
        ({"fare_max": 500.0, "payment": "Barter", "extra": True}, {"fare", "payment", "tip"}),
    ],
)
def test_anomalies_are_tfdvs(changes: dict, columns: set[str]) -> None:
    statistics = described(**changes)
    mine, theirs = validate(statistics.datasets[0], SCHEMA), tfdv.validate_statistics(statistics, SCHEMA)
    assert isinstance(mine, anomalies_pb2.Anomalies)
    assert dict(mine.anomaly_info) == dict(theirs.anomaly_info)
    assert mine.dataset_anomaly_info == theirs.dataset_anomaly_info
    assert set(mine.anomaly_info) == columns
