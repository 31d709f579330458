"""The SavedModel a server loads: raw serialized examples in, named outputs out, the transform inside."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from tensorflow_transform.saved import saved_transform_io_v2

from models.generations import make_readable
from preprocessing.description import column_type

RawSpec = Mapping[str, tf.io.FixedLenFeature | tf.io.VarLenFeature]

OUTPUT = "output"
# SavedModel keeps this folder for what is no concern of its loaders: TF Serving passes over it.
RAW_FEATURES_FILE = "assets.extra/raw_features.json"


def inference_function(model: keras.Model) -> tuple[tf.types.experimental.ConcreteFunction, tf.Module]:
    """Trace a model in inference mode.

    Returns:
      A function from {input name: (batch, width)} as keywords to {"output": (batch, units)}, and a module that tracks the
      variables it captures: keep it as long as the function.
    """
    variables = tf.Module()
    variables.variables_of_model = list(model.variables)
    specs = {name: tf.TensorSpec([None, *x.shape[1:]], x.dtype, name=name) for name, x in model.input.items()}
    # Keras layers need no AutoGraph, and it is slow.
    function = tf.function(lambda **inputs: {OUTPUT: model(inputs, training=False)}, autograph=False)
    return function.get_concrete_function(**specs), variables


def export_function(function: tf.types.experimental.ConcreteFunction, variables: tf.Module, path: str) -> None:
    """Write what `inference_function` gives as a SavedModel with one signature, for a converter."""
    module = tf.Module()
    module.function, module.captured = function, variables
    tf.saved_model.save(module, path, signatures={"serving_default": function})


class ServingModel(tf.Module):
    """A trained model behind the transform it was trained with.

    `serving_default` takes serialized tf.Example, string (batch,), and gives `scores` float32 (batch, classes) with
    `classes` string (batch, classes), or `predictions` float32 (batch,) when there are no classes. `transform_features`
    takes the same and gives the transformed features, the label among them when the example has one.
    """

    def __init__(self, model: keras.Model, transform: tft.TFTransformOutput, columns: Sequence[str], classes: Sequence[str]):
        super().__init__()
        # Only the variables are tracked: saving a Keras model as such traces every layer again, which takes ten times as long.
        self._infer, self._variables = inference_function(model)
        # As TFT's own layer does, but without the Keras layer around it, for the same reason.
        self._transform = saved_transform_io_v2.SavedModelLoader(transform.transform_savedmodel_dir)
        self._transform_resources = self._transform.__dict__
        self._spec: RawSpec = transform.raw_feature_spec()
        self._read: RawSpec = {name: self._spec[name] for name in columns}
        self._classes = tuple(classes)

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return the traced signatures by name."""
        examples = tf.TensorSpec([None], tf.string, name="examples")
        return {
            "serving_default": tf.function(self._serve, autograph=False).get_concrete_function(examples),
            "transform_features": tf.function(self._transformed, autograph=False).get_concrete_function(examples),
        }

    def _serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        output = self._predict(self._transform.apply_transform_model(tf.io.parse_example(examples, self._read)))
        if not self._classes:
            return {"predictions": tf.reshape(output, [-1])}
        scores = output if len(self._classes) > 2 or output.shape[-1] > 1 else tf.concat([1.0 - output, output], axis=1)
        classes = tf.tile(tf.constant([self._classes]), [tf.shape(scores)[0], 1])
        return {"scores": scores, "classes": classes}

    def _predict(self, transformed: Mapping[str, tf.Tensor]) -> tf.Tensor:
        specs = self._infer.structured_input_signature[1]
        return self._infer(**{name: tf.cast(transformed[name], spec.dtype) for name, spec in specs.items()})[OUTPUT]

    def _transformed(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._transform.apply_transform_model(tf.io.parse_example(examples, self._spec))


def export(
    model: keras.Model,
    transform: tft.TFTransformOutput,
    columns: Sequence[str],
    label_column: str,
    classes: Sequence[str],
    path: str,
) -> None:
    """Write a SavedModel with the signatures of `ServingModel`, and beside its graph what a raw row has to hold.

    Args:
      model: from {transformed name: (batch, width)} to (batch, units).
      transform: the transform graph it was trained behind.
      columns: raw columns that the features read: all that callers of `serving_default` need to send.
      label_column: raw column of the label.
      classes: names in the order of the scores; empty for regression.
      path: an empty folder.
    """
    serving = ServingModel(model, transform, columns, classes)
    tf.saved_model.save(serving, path, signatures=serving.signatures())
    described = describe_rows(transform.raw_feature_spec(), columns, label_column, classes)
    tf.io.gfile.makedirs(os.path.dirname(os.path.join(path, RAW_FEATURES_FILE)))
    with tf.io.gfile.GFile(os.path.join(path, RAW_FEATURES_FILE), "w") as file:
        file.write(json.dumps(described, indent=1, ensure_ascii=False))


def describe_rows(spec: RawSpec, columns: Sequence[str], label_column: str, classes: Sequence[str]) -> dict[str, object]:
    """Return, JSON-ready, what a raw row has to hold: for who has rows and wants scores, without reading the graph.

    Args:
      spec: of the raw examples.
      columns: raw columns that the features read.
      label_column: raw column of the label, which a row need not have.
      classes: names in the order of the scores; empty for regression.
    """
    return {
        "schema_version": 1,
        "columns": {
            name: {"type": column_type(spec[name].dtype), "required": _is_required(spec[name])} for name in sorted(columns)
        },
        "label": label_column,
        "classes": list(classes),
    }


def _is_required(feature: tf.io.FixedLenFeature | tf.io.VarLenFeature) -> bool:
    """Tell whether parsing an example fails without the feature."""
    return isinstance(feature, tf.io.FixedLenFeature) and feature.default_value is None


def save_keras(model: keras.Model, path: str) -> None:
    """Write a `.keras` file to a local or remote path."""
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "model.keras")
        model.save(local)
        make_readable(local)
        tf.io.gfile.copy(local, path, overwrite=True)


def load_keras(path: str) -> keras.Model:
    """Read a `.keras` file from a local or remote path, uncompiled.

    Raises:
      ValueError: there is no such file.
    """
    if not tf.io.gfile.exists(path):
        raise ValueError(f"{path} does not exist. The Trainer leaves it beside the SavedModel; run the Trainer again.")
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "model.keras")
        tf.io.gfile.copy(path, local)
        return keras.models.load_model(local, compile=False)
