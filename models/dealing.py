"""Deals the examples of an epoch out over workers and replicas: each once, and to all the same number of steps.

tf.data's own auto-sharding promises neither: by file, workers with fewer examples run out of them while the others wait; by
element, a shuffle that differs between workers repeats some and leaves out others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Share:
    """Which part of every batch a worker takes.

    Attributes:
      worker: its position.
      num_workers: that read examples.
      num_replicas: of all workers together; as many on each.
      whole_batches: leave out the last, partial batch of an epoch, for shapes that never change.
    """

    worker: int
    num_workers: int
    num_replicas: int
    whole_batches: bool = False

    @property
    def replicas(self) -> int:
        """Of this worker."""
        return self.num_replicas // self.num_workers

    def num_steps(self, num_examples: int, batch_size: int) -> int:
        """Return the batches of an epoch."""
        return num_examples // batch_size if self.whole_batches else -(-num_examples // batch_size)

    def batches(self, batches: tf.data.Dataset, num_examples: int, batch_size: int) -> tf.data.Dataset:
        """Return the batches of an epoch that are taken, of a shape that is known if it never changes."""
        if not self.whole_batches:
            return batches
        whole = batches.take(self.num_steps(num_examples, batch_size))
        return whole.map(lambda x: tf.ensure_shape(x, [batch_size, *x.shape[1:]]))

    def counted(self, parts: tf.data.Dataset, num_examples: int, batch_size: int) -> tf.data.Dataset:
        """Return the parts of an epoch as a dataset that knows how many there are."""
        number = self.num_steps(num_examples, batch_size) * self.replicas
        return parts.apply(tf.data.experimental.assert_cardinality(number))

    def cut(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return what this worker's replicas get of batches that all workers make alike.

        Args:
          batches: of tensors (batch, ...).

        Returns:
          (tensors (part, ...), weights (part,)), one for each of the worker's replicas in turn. A batch that cannot be divided
          evenly gives parts that differ by one example; the weights make the mean over replicas that over examples.
        """
        first = self.worker * self.replicas
        return _cut(batches.map(lambda *batch: (batch, _length(batch))), range(first, first + self.replicas), self.num_replicas)

    def cut_own(self, batches: tf.data.Dataset, totals: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same where each worker makes batches of its own.

        Args:
          batches: of tensors (batch, ...), this worker's part of each step's examples, perhaps none.
          totals: how many examples all workers have in each step, int32.
        """
        own = tf.data.Dataset.zip((batches.map(lambda *batch: batch), totals))
        return _cut(own, range(self.replicas), self.replicas, self.num_workers)


def _cut(batches: tf.data.Dataset, positions: range, parts: int, num_workers: int = 1) -> tf.data.Dataset:
    num_replicas = parts * num_workers

    def part(batch: tuple, total: tf.Tensor, position: tf.Tensor) -> tuple[Any, tf.Tensor]:
        number = _length(batch)
        start, stop = position * number // parts, (position + 1) * number // parts
        size = tf.nest.flatten(batch)[0].shape[0]
        weight = tf.cast((stop - start) * num_replicas, tf.float32) / tf.cast(tf.maximum(total, 1), tf.float32)

        def cut(x: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(x[start:stop], [size // parts if size else None, *x.shape[1:]])

        cut_batch = tf.nest.map_structure(cut, batch)
        return (cut_batch[0] if len(cut_batch) == 1 else cut_batch), cut(tf.fill([number], weight))

    if len(positions) == 1:
        return batches.map(lambda batch, total: part(batch, total, tf.constant(positions[0])))
    return batches.flat_map(
        lambda batch, total: tf.data.Dataset.range(positions.start, positions.stop, output_type=tf.int32).map(
            lambda position: part(batch, total, position)
        )
    )


def _length(batch: Any) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(batch)[0])[0]


class Dealt:
    """The batches of an epoch for all replicas. Has what `fit` asks of a tf.data.Dataset, counted in steps."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        make: Callable[[Share], tf.data.Dataset],
        change: Callable[[tf.data.Dataset, int], tf.data.Dataset] = lambda dataset, replicas: dataset,
    ):
        """Deal out.

        Args:
          strategy: of tf.distribute.
          make: gives what the replicas of a worker get in turn, as many elements a step as it has replicas, of known number.
          change: is applied to that, with the number of the worker's replicas.

        Raises:
          ValueError: there is no whole batch, where only whole ones are taken.
        """
        self._strategy, self._make, self._change = strategy, make, change
        share = share_of(strategy, 0)
        self._steps = int(make(share).cardinality()) // share.replicas
        if not self._steps:
            raise ValueError(
                f"No batch is left for an epoch: fewer examples than a batch of all {share.num_replicas} replicas has, and "
                "this strategy takes whole batches only. Use a smaller `fit.batch_size` or another strategy."
            )

    def cardinality(self) -> int:
        """Return the steps of an epoch."""
        return self._steps

    def repeat(self) -> Dealt:
        """Return epochs without end."""
        return self._with(lambda dataset, _: dataset.repeat())

    def skip(self, steps: int) -> Dealt:
        """Return what comes after some steps."""
        return self._with(lambda dataset, replicas: dataset.skip(steps * replicas))

    def distributed(self) -> Any:
        """Return the tf.distribute.DistributedDataset."""

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            share = share_of(self._strategy, context.input_pipeline_id)
            return self._change(self._make(share), share.replicas).prefetch(2 * share.replicas)

        return self._strategy.distribute_datasets_from_function(of_worker)

    def _with(self, further: Callable[[tf.data.Dataset, int], tf.data.Dataset]) -> Dealt:
        change = self._change
        return Dealt(self._strategy, self._make, lambda dataset, replicas: further(change(dataset, replicas), replicas))


def share_of(strategy: tf.distribute.Strategy, worker: int) -> Share:
    """Return the share of a worker."""
    tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        num_workers = strategy.extended._num_workers
    else:
        num_workers = strategy.extended.num_hosts if tpu else 1
    return Share(worker, num_workers, strategy.num_replicas_in_sync, whole_batches=tpu)


def deal(batches: tf.data.Dataset, strategy: tf.distribute.Strategy, weighted: bool) -> Dealt:
    """Deal out batches that every worker makes alike.

    Args:
      batches: of (features, label), of all replicas together, whose number is known.
      strategy: of tf.distribute.
      weighted: give weights, for a loss that is a mean; without, for means that count examples, as those of an evaluation do.
    """

    def make(share: Share) -> tf.data.Dataset:
        steps, whole = int(batches.cardinality()), batches
        if share.whole_batches:
            size = next(iter(batches))[1].shape[0]
            size -= size % share.num_replicas
            whole = batches.unbatch().batch(max(size, 1), drop_remainder=True)
            steps = sum(len(label) for _, label in batches.as_numpy_iterator()) // max(size, 1)
        parts = share.cut(whole).map(lambda batch, weights: (*batch, weights) if weighted else batch)
        return parts.apply(tf.data.experimental.assert_cardinality(steps * share.replicas))

    return Dealt(strategy, make)
