"""The generations of TFX that this project can be installed with: docs/adr/0002-two-generations.md."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """A version of TFX and what its native wheels ask for.

    Attributes:
      tfx: its version.
      python: (major, minor) that it is installed with here.
      glibc: the oldest one that its wheels load with.
      lock_file: its pinned packages, below the project.
    """

    tfx: str
    python: tuple[int, int]
    glibc: tuple[int, int]
    lock_file: str

    @property
    def name(self) -> str:
        return f"TFX {self.tfx.rpartition('.')[0]}"


GENERATIONS = (
    Generation("1.16.0", (3, 10), (2, 17), "requirements/tfx-1.16.txt"),
    Generation("1.21.0", (3, 11), (2, 39), "requirements/tfx-1.21.txt"),
)


def generation_of_python(version: tuple[int, int]) -> Generation | None:
    """Return the generation that setup.py chooses for a Python; None for a Python that has none."""
    return next((generation for generation in GENERATIONS if generation.python == version), None)


def generation_of_tfx(version: str) -> Generation | None:
    """Return the generation of an installed TFX; None for one that this project does not know."""
    return next((generation for generation in GENERATIONS if _minor(generation.tfx) == _minor(version)), None)


def _minor(version: str) -> list[str]:
    return re.findall(r"\d+", version)[:2]
