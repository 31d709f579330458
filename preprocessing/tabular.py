"""Transform of the tabular task: every declared feature kind, crossed features last."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from preprocessing import ops
from preprocessing.features import (
    ID_VALUED,
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


def transform(inputs: Mapping[str, ops.Column], features: Features) -> dict[str, tf.Tensor]:
    """Turn raw columns into model inputs.

    Args:
      inputs: {column: SparseTensor (batch, <=1) or Tensor (batch, 1)}.
      features: as declared in the config.

    Returns:
      {transformed name: float32 or int64 (batch, width)}, as `encoded_features` lists them.

    Raises:
      ValueError: a column is not in the data, or a crossed feature names one that has no ids.
    """
    outputs: dict[str, tf.Tensor] = {}
    crossed: dict[str, Crossed] = {}
    for name, feature in features.items():
        if isinstance(feature, Crossed):
            crossed[name] = feature
            continue
        column = column_of(name, feature)
        if column not in inputs:
            raise ValueError(
                f"Feature '{name}' reads column '{column}', which the data's schema does not have: {sorted(inputs)}."
            )
        outputs.update(_encode(name, feature, inputs[column]))
    with_ids = sorted(name for name, feature in features.items() if isinstance(feature, ID_VALUED) and name not in crossed)
    for name, cross in crossed.items():
        for part in cross.of:
            if part not in with_ids:
                raise ValueError(f"Feature '{name}' crosses '{part}', which has no ids. Features with ids: {with_ids}.")
        ids = [outputs[transformed_name(part)] for part in cross.of]
        outputs[transformed_name(name)] = ops.cross_ids(ids, cross.num_buckets)
    return outputs


def _encode(name: str, feature: Feature, column: ops.Column) -> dict[str, tf.Tensor]:
    own = transformed_name(name)
    if isinstance(feature, Categorical):
        text = ops.as_text(column)
        return {own: ops.vocabulary_ids(text, name, feature.vocabulary_size, feature.num_oov_buckets, feature.min_count)}
    x = ops.as_float(column)
    missing = tf.math.is_nan(x)
    if isinstance(feature, Numeric):
        value = ops.z_score(ops.signed_log1p(x) if feature.log else x, missing)
        return {own: value, transformed_name(name, "missing"): tf.cast(missing, tf.float32)}
    if isinstance(feature, Bucketized):
        return {own: ops.bucket_ids(x, missing, feature.num_buckets)}
    if isinstance(feature, IntegerCategorical):
        return {own: ops.integer_ids(x, missing, feature.num_values)}
    if isinstance(feature, Cyclical):
        return {own: ops.circle(x, missing, PERIODS[feature.period])}
    raise ValueError(f"Feature '{name}' has kind '{feature.kind}', which the tabular task does not transform.")
