"""Keeps TFX from importing what a run does not use: half of the start-up of a local run was that.

`tfx.components` imports every component there is, with all they need (TFMA, KerasTuner, Keras 3, Docker, Kubernetes, ...), and
almost every module of TFX imports something below it. Here the package stays unread until somebody asks for one of its
names; modules below it, such as `tfx.components.trainer.component`, are imported as ever.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

_LAZY = "tfx.components"


def install() -> None:
    """Make imports lean in this process, from now on; what is imported already stays as it is."""
    # tf.keras is tf_keras everywhere in this project; without this TensorFlow imports Keras 3 as well.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    if _LAZY in sys.modules:
        return
    spec = importlib.util.find_spec(_LAZY)
    if spec is None or spec.loader is None:
        return  # no TFX: its first real import says so
    module = _Unread(_LAZY)
    module.__spec__, module.__file__ = spec, spec.origin
    module.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[_LAZY] = module
    setattr(sys.modules["tfx"], "components", module)  # noqa: B010 - no static attribute of a package


class _Unread(ModuleType):
    """A package whose own code runs when one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]  # once
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)
