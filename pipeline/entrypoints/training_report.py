"""What the Trainer tells of a training in `training.json`: what it ran on, how its losses went, how fast it was."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from models import datasets, dealing, training
from models.scaling import scaled
from pipeline.progress import announce

if TYPE_CHECKING:
    from models.checkpoints import Checkpoints


class Seconds:
    """Where the time goes: seconds by part."""

    def __init__(self) -> None:
        """Begin with none."""
        self.by_part: dict[str, float] = {}

    @contextlib.contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Count the time of a block for a part."""
        began = time.monotonic()
        yield
        self.by_part[part] = time.monotonic() - began


def scale(
    reason: str, strategy: tf.distribute.Strategy, examples: datasets.Examples, fit: training.FitConfig
) -> dict[str, Any]:
    """Say what the training runs on, and how large its steps are; return that for the report."""
    scaling = scaled(fit, strategy.num_replicas_in_sync)
    share = dealing.share_of(strategy, 0)
    left_out = examples.num_examples % scaling.global_batch_size if share.whole_batches else 0
    announce(f"strategy {reason}: {scaling}")
    if left_out:
        announce(f"leaves {left_out} of {examples.num_examples} examples out of each epoch: a TPU takes whole batches only")
    return {
        "strategy": reason,
        **scaling.report(),
        "precision": fit.precision,
        "sharding": examples.sharding(share.num_workers),
        "examples_left_out": left_out,
    }


def course(history: tf.keras.callbacks.History) -> dict[str, Any]:
    """Return the losses of every epoch, of interrupted attempts too."""
    return {
        "epochs": len(history.epoch),
        "loss": [float(value) for value in history.history["loss"]],
        "eval_loss": [float(value) for value in history.history["val_loss"]],
    }


def pace(num_examples: int, history: tf.keras.callbacks.History, checkpoints: Checkpoints, seconds: Seconds) -> dict[str, Any]:
    """Return how fast the training was, counting the epochs that this attempt trained."""
    num_epochs = len(history.epoch) - checkpoints.restored_epochs
    return {
        "examples": num_examples,
        "resumed_after_epochs": checkpoints.restored_epochs,
        "resumed_after_steps": checkpoints.restored.steps if checkpoints.restored else 0,
        "examples_per_second": round(num_examples * num_epochs / seconds.by_part["fit"], 1),
        "seconds": {part: round(value, 2) for part, value in seconds.by_part.items()},
    }
