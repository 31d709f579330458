"""Which tf.distribute strategy a training runs under. The runtime chooses; models do not know."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

Kind = Literal["auto", "one_device", "mirrored"]


def choose(kind: Kind) -> tuple[tf.distribute.Strategy, str]:
    """Return the strategy and, in a sentence, why.

    Args:
      kind: "auto" mirrors over several GPUs if there are, otherwise takes the one device there is; "mirrored" mirrors over
        all GPUs, or over the logical CPU devices where there is no GPU.

    Raises:
      ValueError: unknown kind, or "mirrored" with a single device: never a silent fall-back.
    """
    gpus, cpus = tf.config.list_logical_devices("GPU"), tf.config.list_logical_devices("CPU")
    if kind == "auto" and len(gpus) > 1:
        return tf.distribute.MirroredStrategy([d.name for d in gpus]), f"auto: mirrored over {len(gpus)} GPUs"
    if kind in ("auto", "one_device"):
        # TensorFlow's default strategy does the same as OneDeviceStrategy on the first device, at half the time a step.
        reason = f"one device, {(gpus or cpus)[0].name}"
        return tf.distribute.get_strategy(), f"auto: {reason}" if kind == "auto" else reason
    if kind == "mirrored":
        devices = gpus or cpus
        if len(devices) < 2:
            raise ValueError(
                f"Strategy 'mirrored' needs at least 2 devices of a kind, found {len(gpus)} GPU(s) and {len(cpus)} CPU(s). "
                "Use `strategy: auto` or `one_device`, or configure logical devices."
            )
        return tf.distribute.MirroredStrategy([d.name for d in devices]), f"mirrored over {len(devices)} devices"
    raise ValueError(f"Unknown strategy '{kind}'. Expected one of: auto, one_device, mirrored.")
