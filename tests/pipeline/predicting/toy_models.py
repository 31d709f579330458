"""SavedModels whose scores can be worked out by hand, as a pipeline pushes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from models import serving

SPEC = {
    "amount": tf.io.VarLenFeature(tf.float32),
    "area": tf.io.VarLenFeature(tf.int64),
    "word": tf.io.VarLenFeature(tf.string),
}


class Toy(tf.Module):
    """Predicts amount + 100 * area + 10,000 * (bytes of word); -1, 0 and "" stand for what is missing.

    With classes, the score of the class at position `area` is 0.75, and the others share the rest.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        self._num_classes = num_classes
        self._unit = tf.Variable(1.0)  # what a signature alone would not keep alive

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, SPEC)
        amount, area, word = (
            tf.reshape(tf.sparse.to_dense(tf.sparse.reset_shape(raw[name], [tf.size(examples, tf.int64), 1]), default), [-1])
            for name, default in (("amount", -1.0), ("area", 0), ("word", ""))
        )
        if not self._num_classes:
            size = tf.cast(tf.strings.length(word), tf.float32)
            return {"predictions": self._unit * amount + 100.0 * tf.cast(area, tf.float32) + 10_000.0 * size}
        rest = 0.25 / (self._num_classes - 1)
        return {"scores": self._unit * tf.one_hot(area, self._num_classes, 0.75, rest)}


def write_toy(folder: Path, classes: Sequence[str] = (), required: Sequence[str] = ()) -> Path:
    """Write a SavedModel with its raw features file."""
    toy = Toy(len(classes))
    tf.saved_model.save(toy, str(folder), signatures={"serving_default": toy.serve})
    described = serving.describe_rows(SPEC, list(SPEC), "label", classes)
    for name in required:
        described["columns"][name]["required"] = True
    (folder / "assets.extra").mkdir()
    (folder / serving.RAW_FEATURES_FILE).write_text(json.dumps(described))
    return folder
