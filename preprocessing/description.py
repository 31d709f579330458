"""How raw values become model inputs, spelled out for somebody who has neither TensorFlow nor the transform graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from preprocessing.features import (
    MISSING_ID,
    PERIODS,
    Bucketized,
    Categorical,
    Crossed,
    Cyclical,
    Feature,
    Features,
    IntegerCategorical,
    Numeric,
    column_of,
    transformed_name,
)
from preprocessing.learned import TransformProbe
from preprocessing.ops import CROSS_MULTIPLIER


def describe(features: Features, transform_output: tft.TFTransformOutput) -> list[dict[str, Any]]:
    """Return one JSON-ready record per feature: its column, its model inputs, and the rule with every learned constant."""
    probe = TransformProbe(transform_output)
    return [_describe(name, feature, transform_output, probe) for name, feature in features.items()]


def vocabularies(features: Features, transform_output: tft.TFTransformOutput) -> dict[str, list[str]]:
    """Return {feature: values in the order of their ids} for every categorical feature."""
    return {
        name: [value.decode("utf-8", "replace") for value in transform_output.vocabulary_by_name(name)]
        for name, feature in features.items()
        if isinstance(feature, Categorical)
    }


def vocabulary_file(name: str) -> str:
    """Where a package keeps a feature's vocabulary, one value a line."""
    return f"vocabularies/{name}.txt"


def _describe(name: str, feature: Feature, transform_output: tft.TFTransformOutput, probe: TransformProbe) -> dict[str, Any]:
    own = transformed_name(name)
    record: dict[str, Any] = {"feature": name, "kind": feature.kind, "inputs": [own]}
    if isinstance(feature, Crossed):
        parts = [transformed_name(part) for part in feature.of]
        rule = f"h = ids[0]; for each further id: h = h * {CROSS_MULTIPLIER} + id (64-bit); input = h mod {feature.num_buckets}"
        return record | {"of": parts, "num_buckets": feature.num_buckets, "rule": rule}
    record["column"] = column_of(name, feature)
    record["column_type"] = column_type(transform_output.raw_feature_spec()[record["column"]].dtype)
    if isinstance(feature, Numeric):
        mean, deviation = probe.z_score(record["column"], own, feature.log)
        rule = "input = (x - mean) / std, or 0 when x is missing; the second input is 1 when x is missing, otherwise 0"
        if feature.log:
            rule = "x = sign(x) * log(1 + |x|); " + rule
        inputs = [own, transformed_name(name, "missing")]
        return record | {"inputs": inputs, "log": feature.log, "mean": mean, "std": deviation, "rule": rule}
    if isinstance(feature, Bucketized):
        boundaries = probe.boundaries(record["column"], own, MISSING_ID + 1, feature.num_buckets)
        rule = f"input = 1 + the number of boundaries <= x; {MISSING_ID} when x is missing"
        return record | {"boundaries": boundaries, "rule": rule}
    if isinstance(feature, Categorical):
        size = transform_output.vocabulary_size_by_name(name)
        unknown = f"{1 + size} for any other value"
        if feature.num_oov_buckets > 1:
            unknown = f"{1 + size} + farmhash::Fingerprint64(x) mod {feature.num_oov_buckets} for any other value"
        rule = f"input = 1 + line (from 0) of x in the vocabulary; {unknown}; {MISSING_ID} when x is missing"
        sizes = {"vocabulary_size": size, "num_oov_buckets": feature.num_oov_buckets}
        return record | {"vocabulary": vocabulary_file(name), **sizes, "rule": rule}
    if isinstance(feature, IntegerCategorical):
        unset = f"{MISSING_ID} when x is missing"
        rule = f"input = x + 1 for whole x in [0, {feature.num_values}), {feature.num_values + 1} for any other x; {unset}"
        return record | {"num_values": feature.num_values, "rule": rule}
    if isinstance(feature, Cyclical):
        period = PERIODS[feature.period]
        rule = f"input = (sin(a), cos(a)) with a = 2 * pi * x / {period}; (0, 0) when x is missing"
        return record | {"period": period, "rule": rule}
    raise ValueError(f"Feature '{name}' has kind '{feature.kind}', which has no description.")


def column_type(dtype: tf.DType) -> str:
    """Return "text", "integer" or "number": what the values of a raw column are."""
    return "text" if dtype == tf.string else "integer" if dtype.is_integer else "number"
