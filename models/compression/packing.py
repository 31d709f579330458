"""Packing: all embedding tables become one and all inputs become two, with the same output.

In a small `.tflite` every tensor, operator and input costs more bytes than the numbers it holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pydantic
import tensorflow as tf
import tf_keras as keras

from models.compression.layers import check_rebuildable, copy_model

NUMBERS, IDS = "numbers", "ids"


class Pack(pydantic.BaseModel):
    """One table for all embeddings, one input for all numbers, one for all ids. Exact: no score changes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pack"] = "pack"
    required: bool = pydantic.Field(True, description="Whether a model with nothing to pack is a mistake.")


@dataclass(frozen=True)
class Layout:
    """How transformed features become the inputs of a packed model: which of them, in order, along the last axis."""

    numbers: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """{input: transformed names}, without empty ones."""
        return {name: parts for name, parts in ((NUMBERS, self.numbers), (IDS, self.ids)) if parts}

    def pack(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return {input: (batch, total width)} for {transformed name: (batch, width)}, NumPy or TensorFlow."""
        concatenate = tf.concat if any(tf.is_tensor(x) for x in features.values()) else np.concatenate
        return {name: concatenate([features[part] for part in parts], 1) for name, parts in self.inputs.items()}


@dataclass(frozen=True)
class PackedModel:
    """A model over two inputs, and what goes into them."""

    model: keras.Model
    layout: Layout


def pack(model: keras.Model, step: Pack) -> PackedModel:
    """Rebuild a model over packed inputs.

    Args:
      model: functional, built of `models.inputs`: every id input goes through Embedding and Flatten into one Concatenate
        that a Dense layer reads; every number goes into one Concatenate, or it is the only one.
      step: whether it must be possible.

    Returns:
      A model whose outputs are those of the given one, and its layout; the same model and an empty layout when there is
      nothing to pack and `step.required` is false.

    Raises:
      ValueError: the model has another shape, with the layer that is in the way.
    """
    check_rebuildable(model, "pack")
    try:
        return _Packer(model).packed()
    except _NotPackableError as error:
        if step.required:
            raise ValueError(f"pack: {error} Leave `pack` out of the recipe.") from error
        return PackedModel(model, Layout())


class _NotPackableError(Exception):
    pass


@dataclass(frozen=True)
class _Number:
    """A float input of the old model."""

    name: str
    width: int


@dataclass(frozen=True)
class _Lookup:
    """An id input of the old model and, once it has gone through it, its table (ids, dim); `flat` after Flatten."""

    name: str
    width: int
    table: np.ndarray | None = None
    flat: bool = False

    @property
    def rows(self) -> np.ndarray:
        if self.table is None:
            raise _NotPackableError(f"the ids '{self.name}' go through no Embedding.")
        if self.width > 1:
            raise _NotPackableError(f"the input '{self.name}' has {self.width} ids a row, not one.")
        if not self.flat:
            raise _NotPackableError(f"what is looked up for '{self.name}' goes through no Flatten.")
        return self.table


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the new model; `columns` are those of its columns that the old one has too, None for all."""

    tensor: Any
    columns: np.ndarray | None = None


class _Packer:
    """Walks through a model and builds the packed one beside it."""

    def __init__(self, model: keras.Model):
        if not isinstance(model.input, dict) or len(model.input) < 2:
            raise _NotPackableError(f"the model '{model.name}' has one input: there is nothing to join.")
        # In a copy of its own every layer is called as often as this model calls it.
        self._model = copy_model(model)
        self._values: dict[int, _Number | _Lookup | _Tensor] = {}
        self._inputs: dict[str, Any] = {}
        self._layout = Layout()

    def packed(self) -> PackedModel:
        for name, tensor in self._model.input.items():
            is_id = tensor.dtype.is_integer
            self._values[id(tensor)] = (_Lookup if is_id else _Number)(name, tensor.shape[-1])
        for layer in self._model.layers:
            if not isinstance(layer, keras.layers.InputLayer):
                _check_plain(layer)
                parts = [self._values[id(x)] for x in tf.nest.flatten(layer.input)]
                self._values[id(layer.output)] = self._through(layer, parts)
        output = self._values[id(self._model.output)]
        assert isinstance(output, _Tensor)  # an output comes out of a layer
        if missing := self._model.input.keys() - {*self._layout.numbers, *self._layout.ids}:
            raise _NotPackableError(f"the inputs {sorted(missing)} are not joined with the others of their kind.")
        return PackedModel(keras.Model(self._inputs, output.tensor, name=self._model.name), self._layout)

    def _through(self, layer: keras.layers.Layer, parts: list) -> _Number | _Lookup | _Tensor:
        match layer, parts:
            case keras.layers.Embedding(), [_Lookup(table=None) as lookup]:
                return replace(lookup, table=layer.get_weights()[0])
            case keras.layers.Flatten(), [_Lookup(flat=False) as lookup]:
                return replace(lookup, flat=True)
            case keras.layers.Concatenate(), _:
                return self._joined(layer, parts)
        tensors = [self._as_tensor([part], layer) for part in parts]
        if any(x.columns is not None for x in tensors):
            return _Tensor(self._widened(layer, tensors[0]))
        new = type(layer).from_config(layer.get_config())
        output = new([x.tensor for x in tensors] if len(tensors) > 1 else tensors[0].tensor)
        new.set_weights(layer.get_weights())
        return _Tensor(output)

    def _joined(self, layer: keras.layers.Layer, parts: list) -> _Tensor:
        runs = [self._as_tensor(list(run), layer) for _, run in itertools.groupby(parts, key=_run_key())]
        if len(runs) == 1:
            return runs[0]
        columns = None
        if any(x.columns is not None for x in runs):
            starts = np.cumsum([0, *(x.tensor.shape[-1] for x in runs)])
            columns = np.concatenate([start + _columns(x) for start, x in zip(starts, runs, strict=False)])
        return _Tensor(keras.layers.Concatenate(name=layer.name)([x.tensor for x in runs]), columns)

    def _as_tensor(self, run: list, layer: keras.layers.Layer) -> _Tensor:
        """Return the tensor that stands for a run of parts of one kind: numbers, looked-up ids, or a tensor."""
        if isinstance(run[0], _Tensor):
            return run[0]
        is_id = isinstance(run[0], _Lookup)
        if self._layout.ids if is_id else self._layout.numbers:
            names = [part.name for part in run]
            raise _NotPackableError(f"layer '{layer.name}' ({type(layer).__name__}) reads {names} in a way of its own.")
        return self._ids(run) if is_id else self._numbers(run)

    def _numbers(self, run: list[_Number]) -> _Tensor:
        self._layout = replace(self._layout, numbers=tuple(part.name for part in run))
        self._inputs[NUMBERS] = keras.Input((sum(part.width for part in run),), name=NUMBERS)
        return _Tensor(self._inputs[NUMBERS])

    def _ids(self, run: list[_Lookup]) -> _Tensor:
        self._layout = replace(self._layout, ids=tuple(part.name for part in run))
        self._inputs[IDS] = keras.Input((len(run),), name=IDS, dtype="int32")
        tables = [part.rows for part in run]
        dim = max(table.shape[1] for table in tables)
        padded = [np.pad(table, ((0, 0), (0, dim - table.shape[1]))) for table in tables]
        offsets = np.cumsum([0, *(len(table) for table in tables)])
        from models.compression.packed_embedding import PackedEmbedding  # derives from a class of Keras

        layer = PackedEmbedding(offsets[:-1].tolist(), int(offsets[-1]), dim, name="embeddings")
        tensor = layer(self._inputs[IDS])
        layer.set_weights([np.concatenate(padded)])
        used = [i * dim + j for i, table in enumerate(tables) for j in range(table.shape[1])]
        return _Tensor(tensor, np.array(used) if len(used) < dim * len(tables) else None)

    def _widened(self, layer: keras.layers.Layer, x: _Tensor) -> Any:
        """Apply a Dense layer to a tensor with padding, whose rows of the kernel are zero."""
        if not isinstance(layer, keras.layers.Dense):
            raise _NotPackableError(
                f"the embeddings have different widths and go into '{layer.name}' ({type(layer).__name__}), not into Dense."
            )
        new = keras.layers.Dense.from_config(layer.get_config())
        output = new(x.tensor)
        kernel, *bias = layer.get_weights()
        widened = np.zeros((x.tensor.shape[-1], kernel.shape[1]), kernel.dtype)
        widened[x.columns] = kernel
        new.set_weights([widened, *bias])
        return output


def _check_plain(layer: keras.layers.Layer) -> None:
    """Refuse what cannot be called anew from its config and its input alone."""
    if len(layer.inbound_nodes) > 1:
        raise _NotPackableError(f"layer '{layer.name}' ({type(layer).__name__}) is shared: it is called more than once.")
    if type(layer).__name__.endswith("OpLambda"):
        raise _NotPackableError(f"'{layer.name}' is a function between layers, not a layer.")


def _run_key() -> Callable[[Any], tuple]:
    """Return a key that joins neighbouring numbers and neighbouring lookups, but no tensors."""
    counter = itertools.count()
    return lambda part: (type(part), next(counter) if isinstance(part, _Tensor) else 0)


def _columns(x: _Tensor) -> np.ndarray:
    return x.columns if x.columns is not None else np.arange(x.tensor.shape[-1])
