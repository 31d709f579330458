"""Which tf.distribute strategy a training runs under. The runtime chooses; models do not know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, get_args

import pydantic
import tensorflow as tf

from models.cluster import Cluster, read_cluster

Kind = Literal["auto", "one_device", "mirrored", "multi_worker", "tpu"]
Choice = tuple["tf.distribute.Strategy", str]


class Devices(pydantic.BaseModel):
    """What a strategy is to run on, where the machine does not say it."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    cpu_devices: int | None = pydantic.Field(
        None, ge=2, description="For development: `mirrored` mirrors over so many logical devices of the CPU."
    )
    tpu: str = pydantic.Field("local", description="For `tpu`: its name or grpc:// address; `local` on a TPU VM.")


def choose(kind: Kind, devices: Devices | None = None) -> Choice:
    """Return the strategy and, in a sentence, why.

    Args:
      kind: "auto" takes the workers that TF_CONFIG names if there are several, mirrors over several GPUs if there are, and
        otherwise takes the one device there is; "mirrored" mirrors over all GPUs or `devices.cpu_devices`; "multi_worker" over
        the workers of TF_CONFIG, each with all its GPUs; "tpu" connects to `devices.tpu`.
      devices: which, for "mirrored" and "tpu". Logical devices must be asked for before TensorFlow uses any.

    Raises:
      ValueError: unknown kind, or what was asked for is not there: never a silent fall-back.
    """
    devices, cluster = devices or Devices(), read_cluster()
    if kind not in get_args(Kind):
        raise ValueError(f"Unknown strategy '{kind}'. Expected one of: {', '.join(get_args(Kind))}.")
    if kind in ("one_device", "mirrored") and cluster and len(cluster.addresses) > 1:
        raise ValueError(
            f"Strategy '{kind}' trains in one process, but TF_CONFIG names {len(cluster.addresses)} workers, each of which "
            "would train a model of its own. Use `multi_worker`, or unset TF_CONFIG."
        )
    if kind == "auto":
        return _auto(cluster)
    if kind == "mirrored":
        return _mirrored(devices.cpu_devices)
    if kind == "multi_worker":
        return _multi_worker(cluster)
    return _tpu(devices.tpu) if kind == "tpu" else _one_device()


def _auto(cluster: Cluster | None) -> Choice:
    gpus = tf.config.list_physical_devices("GPU")
    if cluster and len(cluster.addresses) > 1:
        strategy, reason = _multi_worker(cluster)
    elif len(gpus) > 1:
        strategy, reason = _mirrored(None)
    else:
        strategy, reason = _one_device()
    return strategy, f"auto: {reason}"


def _one_device() -> Choice:
    # TensorFlow's default strategy does the same as OneDeviceStrategy on the first device, at half the time a step.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.get_strategy(), f"one device, {devices[0].name}"


def _mirrored(cpu_devices: int | None) -> Choice:
    if cpu_devices:
        _divide_cpu(cpu_devices)
    gpus, cpus = tf.config.list_logical_devices("GPU"), tf.config.list_logical_devices("CPU")
    devices = cpus if cpu_devices else gpus or cpus
    if len(devices) < 2:
        raise ValueError(
            f"Strategy 'mirrored' needs at least 2 devices of a kind, found {len(gpus)} GPU(s) and {len(cpus)} CPU(s). "
            "Use `strategy: auto` or `one_device`, or, for development, `cpu_devices: 2` (`--cpu-devices 2`)."
        )
    names = [device.name for device in devices]
    kind = "GPUs" if devices is gpus else "logical devices of the CPU"
    return tf.distribute.MirroredStrategy(names), f"mirrored over {len(names)} {kind}"


def _divide_cpu(number: int) -> None:
    """Make several logical devices of the CPU.

    Raises:
      ValueError: TensorFlow has begun to use the CPU as it was.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    except RuntimeError:
        found = len(tf.config.list_logical_devices("CPU"))
        raise ValueError(
            f"`cpu_devices: {number}` comes too late: TensorFlow runs with {found} CPU device(s) already. "
            "Choose the strategy in a process that has computed nothing yet."
        ) from None


def _multi_worker(cluster: Cluster | None) -> Choice:
    if cluster is None:
        raise ValueError(
            "Strategy 'multi_worker' needs the environment variable TF_CONFIG, which names all workers and says which of them "
            "this is: see docs/training.md. Set it for every worker, use `--workers 2` to start them on this machine, "
            "or use `strategy: auto`."
        )
    if len(cluster.addresses) < 2:
        raise ValueError(
            f"Strategy 'multi_worker' needs at least 2 workers, TF_CONFIG names 1 ({cluster.addresses[0]}). "
            "Name the others, or use `strategy: auto`."
        )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    own = strategy.num_replicas_in_sync // len(cluster.addresses)
    role = "the chief" if cluster.is_chief else "not the chief"
    return strategy, f"{len(cluster.addresses)} workers of {own} device(s), this is {cluster.task}, {role}"


def _tpu(address: str) -> Choice:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, ImportError, OSError, tf.errors.OpError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ValueError(
            f"Strategy 'tpu' found no TPU '{address}': {type(error).__name__}: {cause}. Run on a TPU VM (`tpu: local`), or "
            "name a TPU (`tpu:`) by its grpc:// address; finding one by name needs google-api-python-client, which the local "
            "runner does not load. Without a TPU use `strategy: auto`."
        ) from error
    strategy = tf.distribute.TPUStrategy(resolver)
    return strategy, f"TPU '{address}' of {strategy.num_replicas_in_sync} cores"


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Return whether shapes have to be the same in every step."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


@contextlib.contextmanager
def losing_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turn what collective operations say when a worker is gone into what to do about it.

    Raises:
      RuntimeError: another worker ended in mid-training.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise RuntimeError(
            "Another worker is gone, so no further step can be taken. Start all workers again: training goes on after the last "
            f"checkpoint. TensorFlow says: {' '.join(str(error).split())[:300]}"
        ) from error
