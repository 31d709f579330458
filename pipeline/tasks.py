"""The tasks a config may name. A new one is a transform, a model, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pydantic

import models.tabular
import preprocessing.tabular
from models.tuning.space import Parameter


@dataclass(frozen=True)
class Task:
    """What differs between tasks.

    Attributes:
      transform: module with `transform(inputs, features) -> {transformed name: tensor}`.
      model: module with `Config`, `build(config, features, head) -> Model`, `students(config) -> [Config]` and
        `search_space(config) -> {key: Parameter}`.
    """

    transform: ModuleType
    model: ModuleType

    @property
    def model_config(self) -> type[pydantic.BaseModel]:
        """The type of the config's `model:` section."""
        return self.model.Config

    @property
    def build(self) -> Callable[..., Any]:
        """Build the Keras model."""
        return self.model.build

    def search_space(self, config: pydantic.BaseModel) -> dict[str, Parameter]:
        """Return what a search may change in the `model:` section by default: {key: parameter}."""
        return self.model.search_space(config)


TASKS: dict[str, Task] = {
    "tabular": Task(transform=preprocessing.tabular, model=models.tabular),
}
