"""Executors by their path: a graph is built without importing what only a running stage needs."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.base import base_executor, executor_spec


class ExecutorByPath(executor_spec.ExecutorClassSpec):
    """An executor that is imported where it runs."""

    def __init__(self, class_path: str):
        """Name an executor, as in "tfx.components.trainer.executor.GenericExecutor"."""
        super().__init__(base_executor.BaseExecutor)  # asked for and never used: the path is what is compiled
        self._class_path = class_path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._class_path,)


class BeamExecutorByPath(executor_spec.BeamExecutorSpec):
    """The same for components that TFX wants a Beam executor of."""

    def __init__(self, class_path: str):
        """Name an executor."""
        super().__init__(base_executor.BaseExecutor)
        self._class_path = class_path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._class_path,)
