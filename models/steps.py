"""What a call of the training function does: one trace instead of two, several steps a call, no conversion by AutoGraph.

Keras traces its own twice, because the first trace creates the optimizer's variables, and converts the loop around the step
with AutoGraph. For a small network both take longer than the first epochs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf
import tf_keras as keras

Step = Callable[[object], object]


def prepare(model: keras.Model) -> None:
    """Give a compiled model the functions that `fit` and `evaluate` call, in place of those that Keras would make.

    They do what Keras's do: `model.train_step` or `model.test_step` on every replica, as many times as `steps_per_execution`
    says. Compile the model again to be rid of them.
    """
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
    model.train_function = _function(model, model.train_step, model._train_counter)
    model.test_function = _function(model, model.test_step, model._test_counter)


@contextlib.contextmanager
def beginning_at(model: keras.Model, step: int) -> Iterator[None]:
    """Have `fit` begin its first epoch at a step, of those whose batches it is given only the rest of."""
    if not step:
        yield
        return
    model._maybe_load_initial_counters_from_ckpt = lambda steps_per_epoch, initial_epoch: (initial_epoch, step)
    try:
        yield
    finally:
        del model._maybe_load_initial_counters_from_ckpt


def _function(model: keras.Model, step: Step, counter: tf.Variable) -> Callable:
    def once(data: object) -> None:
        # Nothing may happen before there is a batch: where nobody knows how many there are, a call at the end of an epoch
        # finds none, and would still have decayed the weights.
        with tf.control_dependencies(tf.nest.flatten(data, expand_composites=True)[:1]):
            step(data)
            counter.assign_add(1)

    several = model._steps_per_execution.numpy().item() > 1
    replica = tf.function(once, jit_compile=True, reduce_retracing=True) if model.jit_compile else once

    def next_step(iterator: tf.data.Iterator) -> None:
        model.distribute_strategy.run(replica, args=(next(iterator),))

    def steps(iterator: tf.data.Iterator) -> dict[str, object]:
        if not several:
            next_step(iterator)
        else:
            # The number is read in the graph: the last call of an epoch has fewer.
            number = model._steps_per_execution.read_value()

            def loop(position: tf.Tensor) -> tuple[tf.Tensor]:
                next_step(iterator)
                return (position + 1,)

            tf.while_loop(lambda position: position < number, loop, [tf.zeros_like(number)])
        # Metrics add up over an epoch: only their values after the last step are of use.
        return model.get_metrics_result()

    # Converted itself, so that layers may loop and branch on tensors; what it calls is not (models/autograph.py).
    @tf.function(reduce_retracing=True)
    def function(iterator):
        return steps(iterator)

    return function
