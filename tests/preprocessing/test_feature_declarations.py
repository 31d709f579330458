"""What a config may declare, and the names and shapes that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic
import pytest
import tensorflow as tf

from preprocessing import tabular
from preprocessing.features import (
    BinaryLabel,
    EncodedFeature,
    Feature,
    Features,
    Label,
    RegressionLabel,
    column_of,
    encoded_features,
    number_columns,
    raw_columns,
    transformed_name,
)

FEATURE = pydantic.TypeAdapter(Feature)
LABEL = pydantic.TypeAdapter(Label)


def declared(values: Mapping[str, Mapping[str, Any]]) -> Features:
    return {name: FEATURE.validate_python(value) for name, value in values.items()}


def only_error(adapter: pydantic.TypeAdapter, value: Mapping[str, Any]) -> tuple[tuple, str]:
    """Return place and message of the one error."""
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python(value)
    (error,) = caught.value.errors()
    return error["loc"], error["msg"]


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ({"kind": "bucketized", "num_buckets": 1}, "num_buckets", "Input should be greater than or equal to 2"),
        ({"kind": "bucketized", "num_buckets": 1001}, "num_buckets", "Input should be less than or equal to 1000"),
        ({"kind": "categorical", "num_oov_buckets": 0}, "num_oov_buckets", "Input should be greater than or equal to 1"),
        ({"kind": "categorical", "vocabulary_size": 0}, "vocabulary_size", "Input should be greater than or equal to 1"),
        ({"kind": "categorical", "min_count": 0}, "min_count", "Input should be greater than or equal to 1"),
        ({"kind": "integer_categorical"}, "num_values", "Field required"),
        ({"kind": "integer_categorical", "num_values": 1}, "num_values", "Input should be greater than or equal to 2"),
        ({"kind": "cyclical", "period": "minute"}, "period", "Input should be 'hour', 'weekday' or 'month'"),
        (
            {"kind": "crossed", "of": ["a"], "num_buckets": 8},
            "of",
            "Tuple should have at least 2 items after validation, not 1",
        ),
        (
            {"kind": "crossed", "of": list("abcd"), "num_buckets": 8},
            "of",
            "Tuple should have at most 3 items after validation, not 4",
        ),
        ({"kind": "crossed", "of": ["a", "b"], "num_buckets": 8, "column": "c"}, "column", "Extra inputs are not permitted"),
        ({"kind": "numeric", "column": ""}, "column", "String should have at least 1 character"),
        ({"kind": "numeric", "lag": True}, "lag", "Extra inputs are not permitted"),
    ],
)
def test_mistaken_feature_is_refused(value: Mapping[str, Any], place: str, message: str):
    assert only_error(FEATURE, value) == ((value["kind"], place), message)


def test_unknown_feature_kind_is_refused_with_the_known_ones():
    message = only_error(FEATURE, {"kind": "embedding"})[1]
    assert message == (
        "Input tag 'embedding' found using 'kind' does not match any of the expected tags: 'numeric', 'bucketized', "
        "'categorical', 'integer_categorical', 'cyclical', 'crossed'"
    )


def test_unknown_label_kind_is_refused_with_the_known_ones():
    message = only_error(LABEL, {"kind": "ranking", "column": "x"})[1]
    assert message == (
        "Input tag 'ranking' found using 'kind' does not match any of the expected tags: 'binary', 'multiclass', 'regression'"
    )


def test_features_are_frozen():
    feature = FEATURE.validate_python({"kind": "numeric"})
    with pytest.raises(pydantic.ValidationError, match="Instance is frozen"):
        feature.log = True


def test_column_defaults_to_the_feature_name():
    features = declared({"fare": {"kind": "numeric"}, "bucket": {"kind": "bucketized", "column": "fare"}})
    assert column_of("fare", features["fare"]) == "fare"
    assert column_of("bucket", features["bucket"]) == "fare"
    assert raw_columns(features) == ["fare"]


def test_crossed_feature_has_no_column():
    cross = FEATURE.validate_python({"kind": "crossed", "of": ["a", "b"], "num_buckets": 8})
    with pytest.raises(ValueError) as caught:
        column_of("pair", cross)
    assert str(caught.value) == "Feature 'pair' is crossed: it reads the features ['a', 'b'], not a column."
    assert raw_columns({"pair": cross}) == []


def test_number_columns_are_those_of_numeric_kinds_and_of_a_regression_label():
    features = declared(
        {
            "fare": {"kind": "numeric"},
            "area": {"kind": "integer_categorical", "num_values": 3, "column": "zone"},
            "hour": {"kind": "cyclical", "period": "hour"},
            "company": {"kind": "categorical"},
            "pair": {"kind": "crossed", "of": ["area", "company"], "num_buckets": 8},
        }
    )
    numeric = {"fare": "numeric", "zone": "integer_categorical", "hour": "cyclical"}
    assert number_columns(features, BinaryLabel(kind="binary", column="tip")) == numeric
    label = RegressionLabel(kind="regression", column="price")
    assert number_columns(features, label) == numeric | {"price": "regression label"}


def test_transformed_name_carries_the_part():
    assert transformed_name("fare") == "fare_xf"
    assert transformed_name("fare", "missing") == "fare_xf_missing"


def test_encoded_features_keep_the_order_of_the_config_and_count_ids():
    features = declared(
        {
            "company": {"kind": "categorical", "num_oov_buckets": 3},
            "fare": {"kind": "numeric"},
            "hour": {"kind": "cyclical", "period": "hour"},
            "bucket": {"kind": "bucketized", "column": "fare", "num_buckets": 10},
            "area": {"kind": "integer_categorical", "num_values": 5},
            "pair": {"kind": "crossed", "of": ["company", "area"], "num_buckets": 64},
        }
    )
    assert encoded_features(features, {"company": 20}.__getitem__) == [
        EncodedFeature("company_xf", "company", num_ids=24),
        EncodedFeature("fare_xf", "fare"),
        EncodedFeature("fare_xf_missing", "fare"),
        EncodedFeature("hour_xf", "hour", width=2),
        EncodedFeature("bucket_xf", "bucket", num_ids=11, derived=True),
        EncodedFeature("area_xf", "area", num_ids=7),
        EncodedFeature("pair_xf", "pair", num_ids=64, derived=True),
    ]


def test_transform_names_the_column_that_the_data_lacks():
    features = declared({"fare": {"kind": "numeric", "column": "amount"}})
    with pytest.raises(ValueError) as caught:
        tabular.transform({"tip": tf.constant([[1.0]]), "miles": tf.constant([[2.0]])}, features)
    assert str(caught.value) == "Feature 'fare' reads column 'amount', which the data's schema does not have: ['miles', 'tip']."


@pytest.mark.parametrize("part", ["hour", "nowhere"])
def test_transform_refuses_to_cross_what_has_no_ids(part: str):
    features = declared(
        {
            "pair": {"kind": "crossed", "of": ["area", part], "num_buckets": 8},
            "area": {"kind": "integer_categorical", "num_values": 3},
            "hour": {"kind": "cyclical", "period": "hour"},
        }
    )
    with pytest.raises(ValueError) as caught:
        tabular.transform({"area": tf.constant([[1]]), "hour": tf.constant([[2.0]])}, features)
    assert str(caught.value) == f"Feature 'pair' crosses '{part}', which has no ids. Features with ids: ['area']."


def test_transform_crosses_features_declared_after_the_cross():
    features = declared(
        {
            "pair": {"kind": "crossed", "of": ["area", "stars"], "num_buckets": 10**9},
            "area": {"kind": "integer_categorical", "num_values": 3},
            "stars": {"kind": "integer_categorical", "num_values": 3},
        }
    )
    outputs = tabular.transform({"area": tf.constant([[1], [2]]), "stars": tf.constant([[0], [9]])}, features)
    assert outputs["pair_xf"].numpy().tolist() == [[2 * 1_000_003 + 1], [3 * 1_000_003 + 4]]
