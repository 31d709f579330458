"""Constants that Transform learned (means, boundaries), kept where a device package can read them.

TFT stores them as annotations of the transformed schema, as serialized `TensorProto`s.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import schema_inference

_TYPE_URL = "type.googleapis.com/tensorflow.TensorProto"


def record_constants(output: tf.Tensor, constants: tf.Tensor) -> None:
    """Attach learned constants to an output of `preprocessing_fn`; call it on the very tensor that is returned."""
    schema_inference.annotate(_TYPE_URL, tf.io.serialize_tensor(constants), tensor=output)


def learned_constants(transform_output: tft.TFTransformOutput) -> dict[str, np.ndarray]:
    """Return {transformed name: constants} for every output that recorded some."""
    found = {}
    for feature in transform_output.transformed_metadata.schema.feature:
        for annotation in feature.annotation.extra_metadata:
            if annotation.type_url == _TYPE_URL:
                found[feature.name] = tf.io.parse_tensor(annotation.value, tf.float32).numpy()
    return found
