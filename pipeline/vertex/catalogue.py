"""Machines and accelerators that Vertex AI rents, as far as they can be told apart offline: names, sizes, which fit together.

Facts from https://cloud.google.com/vertex-ai/docs/training/configure-compute, read in 2026. What a region offers, and what a
project may have of it, only the service knows: `runner_local.py doctor --runtime` asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Shape(NamedTuple):
    """What a machine has.

    Attributes:
      cpus: virtual ones.
      memory_gb: in GiB.
      accelerator: that is part of it, None where there is none or one may be attached.
      num_accelerators: of that kind.
    """

    cpus: int
    memory_gb: float
    accelerator: str | None = None
    num_accelerators: int = 0


# {family: ({kind: GiB for a CPU}, numbers of CPUs)}
_FAMILIES: Mapping[str, tuple[Mapping[str, float], tuple[int, ...]]] = {
    "e2": ({"standard": 4, "highmem": 8, "highcpu": 1}, (2, 4, 8, 16, 32)),
    "n1": ({"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}, (2, 4, 8, 16, 32, 64, 96)),
    "n2": ({"standard": 4, "highmem": 8, "highcpu": 1}, (2, 4, 8, 16, 32, 48, 64, 80, 96, 128)),
    "n2d": ({"standard": 4, "highmem": 8, "highcpu": 1}, (2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224)),
    "c2": ({"standard": 4}, (4, 8, 16, 30, 60)),
    "c2d": ({"standard": 4, "highmem": 8, "highcpu": 2}, (2, 4, 8, 16, 32, 56, 112)),
    "c3": ({"standard": 4, "highmem": 8, "highcpu": 2}, (4, 8, 22, 44, 88, 176)),
}
_BUNDLED: Mapping[str, Shape] = {
    **{f"g2-standard-{n}": Shape(n, 4.0 * n, "NVIDIA_L4", gpus) for n, gpus in {4: 1, 8: 1, 12: 1, 16: 1, 32: 1}.items()},
    **{f"g2-standard-{n}": Shape(n, 4.0 * n, "NVIDIA_L4", gpus) for n, gpus in {24: 2, 48: 4, 96: 8}.items()},
    **{f"a2-highgpu-{n}g": Shape(12 * n, 85.0 * n, "NVIDIA_TESLA_A100", n) for n in (1, 2, 4, 8)},
    "a2-megagpu-16g": Shape(96, 1360.0, "NVIDIA_TESLA_A100", 16),
    **{f"a2-ultragpu-{n}g": Shape(12 * n, 170.0 * n, "NVIDIA_A100_80GB", n) for n in (1, 2, 4, 8)},
    **{f"a3-highgpu-{n}g": Shape(26 * n, 234.0 * n, "NVIDIA_H100_80GB", n) for n in (1, 2, 4, 8)},
    "a3-megagpu-8g": Shape(208, 1872.0, "NVIDIA_H100_MEGA_80GB", 8),
    "a3-ultragpu-8g": Shape(224, 2952.0, "NVIDIA_H200_141GB", 8),
}
# One TPU VM each: its chips are its accelerators.
_TPUS: Mapping[str, Shape] = {
    "ct5lp-hightpu-1t": Shape(24, 48.0, "TPU v5e", 1),
    "ct5lp-hightpu-4t": Shape(112, 192.0, "TPU v5e", 4),
    "ct5lp-hightpu-8t": Shape(224, 384.0, "TPU v5e", 8),
    "ct6e-standard-1t": Shape(44, 176.0, "TPU v6e", 1),
    "ct6e-standard-4t": Shape(180, 720.0, "TPU v6e", 4),
    "ct6e-standard-8t": Shape(180, 1440.0, "TPU v6e", 8),
}
# {accelerator: how many of it an n1 machine takes}
ATTACHABLE: Mapping[str, tuple[int, ...]] = {
    "NVIDIA_TESLA_T4": (1, 2, 4),
    "NVIDIA_TESLA_P4": (1, 2, 4),
    "NVIDIA_TESLA_P100": (1, 2, 4),
    "NVIDIA_TESLA_V100": (1, 2, 4, 8),
}


def machine_types() -> dict[str, Shape]:
    """Return {machine type: its shape}."""
    plain = {
        f"{family}-{kind}-{cpus}": Shape(cpus, cpus * ratio)
        for family, (kinds, sizes) in _FAMILIES.items()
        for kind, ratio in kinds.items()
        for cpus in sizes
    }
    return plain | dict(_BUNDLED) | dict(_TPUS)


def is_tpu(machine_type: str) -> bool:
    """Tell whether a machine is a TPU VM."""
    return machine_type in _TPUS


def takes_accelerators(machine_type: str) -> bool:
    """Tell whether accelerators can be attached to a machine; others have theirs built in, or none."""
    return machine_type.startswith("n1-")


def accelerators() -> tuple[str, ...]:
    """Return the GPUs that a runtime file may name."""
    return tuple(dict.fromkeys([*ATTACHABLE, *(shape.accelerator or "" for shape in _BUNDLED.values())]))
