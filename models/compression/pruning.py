"""Magnitude pruning: small weights become zero while the rest is trained on (Zhu & Gupta 2017), or 2 of every 4."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pydantic
import tf_keras as keras

from models.compression.layers import LayerChoice, choose_layers, copy_model, largest_weight
from models.compression.retraining import Retraining, Trainer

_INITIAL_SPARSITY = 0.3  # where a polynomial schedule begins: the first third of the weights costs nothing
_UNSUPPORTED = ("Bidirectional", "DepthwiseConv2D", "Normalization")
_TOLERANCE = 0.01


class Prune(Retraining):
    """Zeros in kernels. They show in compressed bytes, and in raw bytes with `sparse: true` at quantization."""

    kind: Literal["prune"] = "prune"
    sparsity: float = pydantic.Field(0.8, description="Share of zeros in the end, between 0 and 1; 2:4 means 0.5.")
    schedule: Literal["polynomial", "constant"] = pydantic.Field("polynomial", description="How the share grows.")
    structure: Literal["unstructured", "2:4"] = pydantic.Field(
        "unstructured", description="2:4 leaves at most two of four neighbours, which some kernels run faster."
    )
    layers: LayerChoice = LayerChoice()

    @pydantic.field_validator("sparsity")
    @classmethod
    def _inside(cls, sparsity: float) -> float:
        if not 0 < sparsity < 1:
            raise ValueError(f"must lie between 0 and 1, got {sparsity:g}. 0 prunes nothing, 1 leaves no weight.")
        return sparsity

    def target(self, num_inputs: int) -> float:
        """Return the share of zeros that a kernel must end with: 2:4 keeps what is left over after its groups of four."""
        if self.structure == "unstructured":
            return self.sparsity
        groups, rest = divmod(num_inputs, 4)
        return (2 * groups + max(0, rest - 2)) / num_inputs


def prune(model: keras.Model, step: Prune, trainer: Trainer) -> keras.Model:
    """Prune while training on.

    Args:
      model: functional or sequential; left as it is.
      step: how much and where.
      trainer: trains the pruned model.

    Returns:
      A model of the same layers, without TFMOT's wrappers.

    Raises:
      ValueError: no layer to prune, an unsupported one, or a layer that ended with fewer zeros than asked for.
    """
    # Imported here: it takes seconds, and whoever reads a config has no use for it.
    from tensorflow_model_optimization.sparsity import keras as sparsity

    chosen = choose_layers(model, step.layers, "prune", _UNSUPPORTED)
    parameters = _parameters(step, trainer.num_steps(step))
    wrapped = copy_model(
        model, lambda layer: sparsity.prune_low_magnitude(layer, **parameters) if layer.name in chosen else layer
    )
    trainer.retrain(wrapped, step, [sparsity.UpdatePruningStep()])
    pruned = sparsity.strip_pruning(wrapped)
    check_pruned(pruned, chosen, step)
    return pruned


def _parameters(step: Prune, num_steps: int) -> dict[str, Any]:
    from tensorflow_model_optimization.sparsity import keras as sparsity

    frequency = max(1, num_steps // 50)
    # The last third of the steps repairs what the zeros broke.
    end = max(1, int(num_steps * 0.7))
    if step.schedule == "polynomial" and step.structure == "unstructured":
        begin = min(_INITIAL_SPARSITY, step.sparsity / 2)
        return {"pruning_schedule": sparsity.PolynomialDecay(begin, step.sparsity, 0, end, frequency=frequency)}
    share = 0.5 if step.structure == "2:4" else step.sparsity
    parameters = {"pruning_schedule": sparsity.ConstantSparsity(share, 0, frequency=frequency)}
    return parameters | ({"sparsity_m_by_n": (2, 4)} if step.structure == "2:4" else {})


def expected_zeros(model: keras.Model, step: Prune) -> dict[str, int]:
    """Return how many zeros each chosen layer of a pruned model holds."""
    chosen = choose_layers(model, step.layers, "prune", _UNSUPPORTED)
    return {name: int(np.sum(largest_weight(model.get_layer(name)) == 0)) for name in chosen}


def check_pruned(model: keras.Model, chosen: list[str], step: Prune) -> None:
    """Raise ValueError for a layer with fewer zeros than asked for, or in other places than its structure asks for."""
    for name in chosen:
        weights = largest_weight(model.get_layer(name))
        share = float(np.mean(weights == 0))
        if step.structure == "2:4" and (most := _most_in_four(weights)) > 2:
            raise ValueError(f"prune: layer '{name}' has {most} weights in a group of four inputs, 2:4 allows two.")
        target = step.target(weights.shape[-2])
        if share < target - _TOLERANCE:
            raise ValueError(
                f"prune: layer '{name}' has {share:.1%} zeros, {target:.0%} were asked for. "
                "Raise `epochs`, so that the schedule reaches its end."
            )


def _most_in_four(kernel: np.ndarray) -> int:
    """Return the largest number of weights that are not zero among four neighbouring inputs of an output, at one place."""
    rows = np.moveaxis(kernel, -1, 0).reshape(-1, kernel.shape[-2])
    groups = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).reshape(-1, 4)
    return int(np.count_nonzero(groups, axis=1).max(initial=0))
