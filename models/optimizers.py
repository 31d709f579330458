"""Adam and AdamW (Kingma & Ba 2015; Loshchilov & Hutter 2019) with one kernel per variable instead of about ten.

The numbers are those of Keras. What differs is the cost: a small network's step is spent in starting operations, and half of
those were the optimizer's. Variables in half precision are left to Keras: the kernel would take its scalars in their type, and
0.999, the default for beta_2, is 1 in bfloat16.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


class _Fused(keras.optimizers.Optimizer):
    """Replaces how gradients are applied; state, configuration and checkpoints stay those of the Keras class beside it."""

    _warmup: tuple[int, float] | None = None

    def warm_up(self, num_steps: int, first: float) -> None:
        """Let the rate rise along a line for so many steps, from its `first`th part in the first step (Goyal et al. 2017).

        Beside `learning_rate`, which schedules and callbacks go on to set. No part of the configuration: a saved optimizer goes
        on without.
        """
        self._warmup = (max(num_steps, 1), first)

    def _warmed(self, rate: tf.Tensor) -> tf.Tensor:
        if self._warmup is None:
            return rate
        num_steps, first = self._warmup
        done = tf.minimum(tf.cast(self.iterations + 1, tf.float32) / num_steps, 1.0)
        return rate * (first + (1.0 - first) * done)

    def aggregate_gradients(self, grads_and_vars: list) -> list:
        """Add up the replicas' gradients, each of its variable's shape."""
        if self._needs_keras():
            return super().aggregate_gradients(grads_and_vars)
        # Also because rows cannot be gathered in a loop of several steps: their number may not change from batch to batch.
        dense = [(None if g is None else tf.convert_to_tensor(g), variable) for g, variable in grads_and_vars]
        return super().aggregate_gradients(dense)

    def _apply_weight_decay(self, variables: list) -> None:
        super()._apply_weight_decay(variables if self._needs_keras() else [v for v in variables if _is_half(v)])

    def _distributed_apply_gradients_fn(self, distribution: tf.distribute.Strategy, grads_and_vars: list, **kwargs):
        if self._needs_keras():
            return super()._distributed_apply_gradients_fn(distribution, grads_and_vars, **kwargs)
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = self._warmed(tf.convert_to_tensor(self.learning_rate))
        scalars = (rate, tf.pow(self.beta_1, step), tf.pow(self.beta_2, step))
        for gradient, variable in grads_and_vars:
            distribution.extended.update(variable, self._update, args=(gradient, scalars), group=False)
        return self.iterations.assign_add(1)

    def _update(self, variable: tf.Variable, gradient: tf.Tensor, scalars: tuple[tf.Tensor, ...]) -> None:
        if _is_half(variable):
            self._update_step(gradient, variable)
            return
        rate, beta_1_power, beta_2_power = (tf.cast(x, variable.dtype) for x in scalars)
        if self.weight_decay and self._use_weight_decay(variable):
            # variable -= rate * weight_decay * variable
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle, alpha=rate * self.weight_decay, delta=variable.read_value()
            )
        position = self._index_dict[self._var_key(variable)]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[position].handle,
            v=self._velocities[position].handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=rate,
            beta1=tf.constant(self.beta_1, variable.dtype),
            beta2=tf.constant(self.beta_2, variable.dtype),
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=gradient,
        )

    def _needs_keras(self) -> bool:
        """Return whether something is asked for that the kernel cannot do, or that depends on gradients by row."""
        return bool(self.amsgrad or self.use_ema or self.clipnorm or self.global_clipnorm or self.clipvalue)


def _is_half(variable: tf.Variable) -> bool:
    return variable.dtype.size < tf.float32.size


@keras.saving.register_keras_serializable(package="pipeline")
class Adam(_Fused, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, fused."""


@keras.saving.register_keras_serializable(package="pipeline")
class AdamW(_Fused, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, fused."""
