"""Keeps a run from importing what it does not use, or not yet: half of the start-up of a local run was that.

`tfx.components` imports every component there is, with all they need (TFMA, KerasTuner, Keras 3, Docker, Kubernetes, ...), and
almost every module of TFX imports something below it. Here the package stays unread until somebody asks for one of its
names; modules below it, such as `tfx.components.trainer.component`, are imported as ever.

TensorFlow, Keras and TensorFlow Transform are read when the first of their names is used, not where `import` stands: a config
is read, and its mistakes are told, without the seconds they take.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

_PACKAGE = "tfx.components"
_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow_transform")


def install() -> None:
    """Make imports lean in this process, from now on; what is imported already stays as it is."""
    # tf.keras is tf_keras everywhere in this project; without this TensorFlow imports Keras 3 as well.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    for name in (*_LIBRARIES, _PACKAGE):
        if name not in sys.modules:
            _postpone(name)


def _postpone(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return  # not installed: its first real import says so
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Unread
    if name in _LIBRARIES:
        # Modules below need the library's own code to have run: Python asks for the path before it looks for one.
        del module.__path__
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


class _Unread(ModuleType):
    """A package whose own code runs when one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if self.__spec__ is None or self.__spec__.loader is None or (name.startswith("__") and name not in _REAL_DUNDERS):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]  # once
        self.__path__ = list(self.__spec__.submodule_search_locations or ())
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


# What Python asks of a module on its own account, such as __wrapped__ or __warningregistry__, is no reason to run its code.
_REAL_DUNDERS = ("__path__", "__version__")
