"""Warm start: a training begins with the weights of an earlier model of the same architecture.

Between two trainings vocabularies, classes and the scale of a label may change, and with them what a row of an embedding or a
column of the last layer stands for. Rows go by the value that they stand for, as in the vocabulary-aware warm start of
TensorFlow's Estimators (tf.estimator.VocabInfo); a value that was out of vocabulary begins where such values were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tf_keras as keras

from models.heads import LOGITS

_ANEW = -1
# Of `models.inputs` and `Head.activate`.
_EMBEDDING, _OUTPUT = "_embedding", "output"


@dataclass(frozen=True)
class Meaning:
    """What ids and classes of a model stand for.

    Attributes:
      vocabularies: {transformed name of a categorical feature: its values in the order of their ids, which begin at 1}.
      crosses: {transformed name of a crossed feature: transformed names of the features that it is of}.
      classes: in the order of the scores; () for regression.
    """

    vocabularies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    crosses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Taken:
    """What came of a warm start: names of layers with weights.

    Attributes:
      whole: begin as they were.
      partly: {layer: rows or columns of it that begin anew}.
      anew: begin as in any other training.
    """

    whole: tuple[str, ...]
    partly: Mapping[str, int]
    anew: tuple[str, ...]


def mismatch(model: keras.Model, origin: keras.Model) -> str:
    """Return why a model cannot begin with the weights of another one, "" if it can."""
    inputs, earlier = list(model.input_names), list(origin.input_names)
    if inputs != earlier:
        other = sorted(set(inputs) ^ set(earlier))
        return f"it reads other features ({', '.join(other) or 'in another order'})"
    layers, earlier = ([layer.name for layer in each.layers if layer.weights] for each in (model, origin))
    return "" if layers == earlier else f"it has the layers {', '.join(earlier)}, this one {', '.join(layers)}"


def transfer(model: keras.Model, meaning: Meaning, origin: keras.Model, earlier: Meaning) -> Taken:
    """Give a new model the weights of an earlier one, for which `mismatch` is "".

    Args:
      model: is changed; layers of other shapes keep their own weights.
      meaning: of its ids and classes.
      origin: the earlier model.
      earlier: what its ids and classes stand for.
    """
    whole, partly, anew = [], {}, []
    for layer in (layer for layer in model.layers if layer.weights):
        own, theirs = layer.get_weights(), origin.get_layer(layer.name).get_weights()
        name = layer.name.removesuffix(_EMBEDDING)
        if name in meaning.vocabularies:
            rows = rows_of(own[0].shape[0], meaning.vocabularies[name], theirs[0].shape[0], earlier.vocabularies.get(name, ()))
            weights = _along(0, own, theirs, rows)
        elif name in meaning.crosses and not _same_parts(meaning, earlier, meaning.crosses[name]):
            weights, rows = None, ()
        elif layer.name == LOGITS:
            columns = tuple(earlier.classes.index(each) if each in earlier.classes else _ANEW for each in meaning.classes)
            rows = columns if len(meaning.classes) > 2 else ()
            weights = _head(own, theirs, rows, meaning, earlier, (_scale(model), _scale(origin)))
        else:
            rows, weights = (), theirs if _shapes(own) == _shapes(theirs) else None
        if weights is None:
            anew.append(layer.name)
            continue
        layer.set_weights(weights)
        if missing := sum(row == _ANEW for row in rows):
            partly[layer.name] = missing
        else:
            whole.append(layer.name)
    return Taken(tuple(whole), partly, tuple(anew))


def rows_of(num_ids: int, vocabulary: Sequence[str], num_earlier_ids: int, earlier: Sequence[str]) -> tuple[int, ...]:
    """Return, for each id, the id that its value had earlier; -1 for none.

    Ids are 0 for a missing value, then the vocabulary's, then those of values outside of it.

    Args:
      num_ids: of now.
      vocabulary: of now.
      num_earlier_ids: of the earlier model.
      earlier: its vocabulary.
    """
    outside, earlier_outside = num_ids - 1 - len(vocabulary), num_earlier_ids - 1 - len(earlier)
    place = {value: 1 + index for index, value in enumerate(earlier)}
    unknown = 1 + len(earlier) if earlier_outside == 1 else _ANEW  # of several nobody knows which it was
    same = outside == earlier_outside
    beyond = [1 + len(earlier) + index if same else unknown for index in range(outside)]
    return (0, *(place.get(value, unknown) for value in vocabulary), *beyond)


def _head(
    own: list[np.ndarray],
    theirs: list[np.ndarray],
    columns: Sequence[int],
    meaning: Meaning,
    earlier: Meaning,
    scales: tuple[tuple[float, float], tuple[float, float]],
) -> list[np.ndarray] | None:
    if columns:
        return _along(-1, own, theirs, columns)
    if _shapes(own) != _shapes(theirs) or list(meaning.classes) != list(earlier.classes):
        return None
    # The same number out of another scale and offset.
    (scale, offset), (was_scale, was_offset) = scales
    kernel, bias = theirs
    return [kernel * was_scale / scale, (bias * was_scale + was_offset - offset) / scale]


def _scale(model: keras.Model) -> tuple[float, float]:
    """Return scale and offset of a regression's output, (1, 0) of other models."""
    output = model.get_layer(_OUTPUT)
    return (float(output.scale), float(output.offset)) if isinstance(output, keras.layers.Rescaling) else (1.0, 0.0)


def _along(axis: int, own: list[np.ndarray], theirs: list[np.ndarray], places: Sequence[int]) -> list[np.ndarray] | None:
    """Return arrays whose slices along an axis are those at places of others, or their own; None where they do not fit."""
    result = []
    for new, old in zip(own, theirs, strict=True):
        if np.delete(new.shape, axis).tolist() != np.delete(old.shape, axis).tolist():
            return None
        mixed, known = new.copy(), np.array(places) != _ANEW
        np.moveaxis(mixed, axis, 0)[known] = np.moveaxis(old, axis, 0)[np.array(places)[known]]
        result.append(mixed)
    return result


def _same_parts(meaning: Meaning, earlier: Meaning, parts: Sequence[str]) -> bool:
    """Tell whether a cross hashes the same ids: those of a vocabulary that has changed are other ones."""
    return all(list(meaning.vocabularies.get(part, ())) == list(earlier.vocabularies.get(part, ())) for part in parts)


def _shapes(arrays: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]
