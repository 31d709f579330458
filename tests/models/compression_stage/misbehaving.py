"""A module of models, some of which take the process that builds them down. Imported by the workshop's children."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pydantic
import tf_keras as keras

from models import tabular
from models.heads import Head
from preprocessing.features import EncodedFeature


class Config(pydantic.BaseModel):
    """What happens while the model is built."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    does: Literal["learn", "crash", "exit", "sleep", "eat", "complain", "stumble"] = "learn"


def build(config: Config, features: Sequence[EncodedFeature], head: Head) -> keras.Model:
    """Build a small model, unless something happens."""
    print(f"{config.does}: process {os.getpid()}", flush=True)
    if config.does in _HAPPENINGS:
        _HAPPENINGS[config.does]()
    return tabular.build(tabular.Config(embedding_dim=2, numeric_units=8, hidden=(8,), dropout=0.0), features, head)


def students(config: Config) -> list[Config]:
    """Return none: every test names its own."""
    return []


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit() -> None:
    os._exit(7)


def _sleep() -> None:
    time.sleep(600)


def _eat() -> None:
    eaten = []
    while True:
        eaten.append(np.ones(2**21))  # 16 MB that are written to
        time.sleep(0.005)


def _complain() -> None:
    raise ValueError("this student cannot be built.")


def _stumble() -> None:
    raise KeyError("nowhere")


_HAPPENINGS: dict[str, Callable[[], None]] = {
    "crash": _crash,
    "exit": _exit,
    "sleep": _sleep,
    "eat": _eat,
    "complain": _complain,
    "stumble": _stumble,
}
