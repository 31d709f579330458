"""An inferred schema is the one that TFDV infers."""

from __future__ import annotations

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.components.schema_gen_executor import MOST_VALUES, infer

TRAIN = {"fare": [4.5, 7.0, 9.25], "payment": ["Cash", "Credit Card", "Cash"], "hour": [1, 5, 23]}


def described(**columns: list) -> statistics_pb2.DatasetFeatureStatisticsList:
    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(TRAIN | columns))


@pytest.mark.parametrize(
    "evaluation",
    [
        {},
        {"payment": ["Cash", "Barter", "Cash"]},
        {"fare": [None, 7.0, None]},
        {"tip": [1.0, 2.0, 3.0]},
        {"hour": ["one", "five", "eleven"]},
    ],
    ids=["the same", "a new category", "missing values", "a new column", "another type"],
)
def test_schema_is_tfdvs(evaluation: dict[str, list]) -> None:
    train, other = described(), described(**evaluation)
    theirs = tfdv.update_schema(tfdv.infer_schema(train, infer_feature_shape=False), other)
    assert infer([train.datasets[0], other.datasets[0]]) == theirs


@pytest.mark.parametrize(("number", "is_listed"), [(MOST_VALUES, True), (MOST_VALUES + 1, False)])
def test_many_values_are_not_listed(number: int, is_listed: bool) -> None:
    frame = pd.DataFrame({"company": [f"company {position}" for position in range(number)] * 2})
    statistics = tfdv.generate_statistics_from_dataframe(frame)
    schema = infer([statistics.datasets[0]])
    assert schema == tfdv.infer_schema(statistics, infer_feature_shape=False)
    assert bool(schema.string_domain) is is_listed
