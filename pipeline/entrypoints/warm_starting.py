"""What the Trainer leaves for a later training to begin with, and how it begins with what an earlier one left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from models.warm_start import Meaning, mismatch, transfer
from pipeline.artifacts import keras_model_path
from pipeline.progress import announce
from preprocessing.description import vocabularies
from preprocessing.features import Crossed, Feature, Label, transformed_name
from preprocessing.labels import class_names

if TYPE_CHECKING:
    import tensorflow_transform as tft
    import tf_keras as keras

_FILE = "meaning.json"


def meaning_of(features: dict[str, Feature], label: Label, transform: tft.TFTransformOutput) -> Meaning:
    """Return what the ids and classes of a model stand for."""
    known = vocabularies(features, transform)
    return Meaning(
        vocabularies={transformed_name(name): values for name, values in known.items()},
        crosses={
            transformed_name(name): [transformed_name(part) for part in feature.of]
            for name, feature in features.items()
            if isinstance(feature, Crossed)
        },
        classes=class_names(label, transform),
    )


def leave(meaning: Meaning, model_uri: str) -> None:
    """Write what ids and classes stand for beside the Keras model."""
    io_utils.write_string_file(_path(model_uri), json.dumps(asdict(meaning), ensure_ascii=False))


def beginning(
    warm: bool, earlier_uri: str | None, meaning: Meaning, report: dict[str, Any]
) -> Callable[[keras.Model], None] | None:
    """Return what gives a new model its first weights, None where it has those of its seed.

    Args:
      warm: the config asks for it.
      earlier_uri: the latest blessed model, None if there is none.
      meaning: of the new model's ids and classes.
      report: is told what came of it, as `warm_start`.
    """
    if not warm:
        return None
    if earlier_uri is None:
        _say(report, {"from": None, "why": "no model was blessed yet"})
        return None
    if not fileio.exists(_path(earlier_uri)):
        _say(report, {"from": None, "why": f"{earlier_uri} does not say what its ids stand for: an older version trained it"})
        return None
    return lambda model: _begin(model, meaning, earlier_uri, report)


def _begin(model: keras.Model, meaning: Meaning, earlier_uri: str, report: dict[str, Any]) -> None:
    from models import serving  # not at the top: derives from TensorFlow's classes, and the graph is built without them

    origin = serving.load_keras(keras_model_path(earlier_uri))
    if why := mismatch(model, origin):
        _say(report, {"from": None, "why": f"{earlier_uri} does not fit: {why}"})
        return
    earlier = Meaning(**json.loads(io_utils.read_string_file(_path(earlier_uri))))
    _say(report, {"from": earlier_uri, **asdict(transfer(model, meaning, origin, earlier))})


def _say(report: dict[str, Any], what: dict[str, Any]) -> None:
    report["warm_start"] = what
    if what["from"] is None:
        announce(f"begins anew: {what['why']}")
        return
    partly = [f"{name} ({number} anew)" for name, number in what["partly"].items()]
    text = f"begins with {len(what['whole']) + len(partly)} layers of {what['from']}"
    text += f"; partly: {', '.join(partly)}" if partly else ""
    announce(text + (f"; anew: {', '.join(what['anew'])}" if what["anew"] else ""))


def _path(model_uri: str) -> str:
    return os.path.join(os.path.dirname(keras_model_path(model_uri)), _FILE)
