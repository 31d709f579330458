"""preprocessing_fn: the entry point of Transform."""

from __future__ import annotations

import importlib
from typing import Any

import pydantic
import tensorflow as tf

from preprocessing.features import Feature, Label, transformed_name
from preprocessing.labels import transform_label
from preprocessing.ops import Column


class TransformSettings(pydantic.BaseModel):
    """What Transform needs of the config; its cache key holds no more."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    transform_module: str
    features: dict[str, Feature]
    label: Label


def preprocessing_fn(inputs: dict[str, Column], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transform the features and the label.

    Args:
      inputs: {column: SparseTensor or Tensor}.
      custom_config: {"settings": TransformSettings as JSON}.
    """
    settings = TransformSettings.model_validate_json(custom_config["settings"])
    outputs = importlib.import_module(settings.transform_module).transform(inputs, settings.features)
    outputs[transformed_name(settings.label.column)] = transform_label(inputs[settings.label.column], settings.label)
    return outputs
