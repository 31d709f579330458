"""Weight clustering: a kernel keeps a handful of distinct values (Han et al. 2016), so that it compresses."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pydantic
import tf_keras as keras

from models.compression.folding import fold_batch_normalization
from models.compression.layers import LayerChoice, check_rebuildable, choose_layers, copy_model, largest_weight
from models.compression.retraining import Retraining, Trainer

_UNSUPPORTED = ("DepthwiseConv2D", "Normalization")
_INITIALIZATIONS = {"kmeans++": "KMEANS_PLUS_PLUS", "linear": "LINEAR", "density": "DENSITY_BASED"}


class Cluster(Retraining):
    """Distinct values in kernels. After pruning, the zeros stay zeros (sparsity-preserving clustering)."""

    kind: Literal["cluster"] = "cluster"
    num_clusters: int = pydantic.Field(16, ge=2, le=256, description="Distinct values per kernel.")
    initialization: Literal["kmeans++", "linear", "density"] = "kmeans++"
    layers: LayerChoice = LayerChoice()


def cluster(model: keras.Model, step: Cluster, trainer: Trainer, preserve_sparsity: bool) -> keras.Model:
    """Cluster kernels while training on. Batch normalizations are folded into them first.

    Args:
      model: functional or sequential; left as it is.
      step: how many clusters and where.
      trainer: trains the clustered model.
      preserve_sparsity: zeros stay zeros; a pruned model has them.

    Returns:
      A model of the same layers, without TFMOT's wrappers.

    Raises:
      ValueError: no layer to cluster, an unsupported one, or a layer that ended with more values than asked for.
    """
    # Imported here: it takes seconds, and whoever reads a config has no use for it.
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

    check_rebuildable(model, "cluster")
    model = fold_batch_normalization(model)
    chosen = choose_layers(model, step.layers, "cluster", _UNSUPPORTED)

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in chosen:
            return layer
        if preserve_sparsity:
            # Zero is one of the clusters then, and TFMOT wants two beside it.
            parameters = _parameters(step, layer, fewest=3)
            return experimental.cluster_weights(layer, **parameters, preserve_sparsity=True)
        return tfmot.clustering.keras.cluster_weights(layer, **_parameters(step, layer, fewest=2))

    wrapped = copy_model(model, wrap)
    trainer.retrain(wrapped, step)
    clustered = tfmot.clustering.keras.strip_clustering(wrapped)
    check_clustered(clustered, chosen, step)
    return clustered


def _parameters(step: Cluster, layer: keras.layers.Layer, fewest: int) -> dict[str, Any]:
    from tensorflow_model_optimization.clustering.keras import CentroidInitialization

    weights = largest_weight(layer)
    # TFMOT fails on more clusters than there are values.
    distinct = len(np.unique(weights[weights != 0]))
    number = max(fewest, min(step.num_clusters, distinct))
    return {
        "number_of_clusters": number,
        "cluster_centroids_init": CentroidInitialization[_INITIALIZATIONS[step.initialization]],
    }


def clustered_kernels(model: keras.Model, step: Cluster) -> dict[str, int]:
    """Return how many values the kernel of each clustered layer may hold."""
    return dict.fromkeys(choose_layers(model, step.layers, "cluster", _UNSUPPORTED), step.num_clusters)


def check_clustered(model: keras.Model, chosen: list[str], step: Cluster) -> None:
    """Raise ValueError for a layer with more distinct values than asked for; zero beside the clusters is allowed."""
    for name in chosen:
        weights = largest_weight(model.get_layer(name))
        distinct = len(np.unique(weights[weights != 0]))
        if distinct > step.num_clusters:
            raise ValueError(f"cluster: layer '{name}' has {distinct} distinct values, {step.num_clusters} were asked for.")
