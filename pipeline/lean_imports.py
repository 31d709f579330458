"""Keeps a process from importing what it does not use, or not yet: half of the start-up of a local run was that.

`tfx.components` imports every component there is, with all they need (TFMA, KerasTuner, Keras 3, Docker, Kubernetes, ...), and
almost every module of TFX imports something below it. Here the package stays unread until somebody asks for one of its
names; modules below it, such as `tfx.components.pusher.component`, are imported as ever.

TensorFlow, Keras, TensorFlow Transform, TFMA and others are read when the first of their names is used, not where `import`
stands: a config is read, and its mistakes are told, without the seconds they take.

A process that runs no stage itself, but builds the graph and keeps the books, goes further (`orchestrating`): it does with the
protocol buffers of TensorFlow, TFMA and TFDV, and with what TFX does where Beam is not installed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pipeline.generations import keep_beam_in_process, load_protocol_buffers

_PACKAGE = "tfx.components"
_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow_transform")
# Packages of which modules are of use without the rest: protocol buffers, statistics, coders.
_PARTLY_USED = ("tensorflow_model_analysis", "tensorflow_data_validation", "tfx_bsl")
# What TFX imports for stages in containers, for labels on Beam's jobs, and to see whether it is there.
_RARELY_USED = ("docker", "tfx.utils.telemetry_utils", "setuptools")
# What Keras would take arrays and frames of, and TensorFlow finds machines of Compute Engine and TPUs by their names with.
_NOT_FOR_MODELS = ("scipy", "pandas", "googleapiclient")
# What Beam and Google's clients import where it is there, for notebooks and for MongoDB.
_NOT_FOR_STAGES = ("ipywidgets", "IPython", "pymongo")
_FOR_CLOUDS = ("google.api_core", "google.cloud.bigquery", "google.cloud.pubsub", "google.cloud.storage", "apitools", "hdfs")


def install() -> None:
    """Make imports lean in this process, from now on; what is imported already stays as it is."""
    # tf.keras is tf_keras everywhere in this project; without this TensorFlow imports Keras 3 as well.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    importlib.import_module("tfx.utils")
    load_protocol_buffers()
    keep_beam_in_process()
    for name in (*_LIBRARIES, *_PARTLY_USED, *_RARELY_USED, _PACKAGE):
        if name not in sys.modules:
            _postpone(name)
    for name in _LIBRARIES:
        # Modules below need the library's own code to have run: Python asks for the path before it looks for one.
        if isinstance(module := sys.modules.get(name), _Unread):
            module.__dict__.pop("__path__", None)
    if "tfx.utils.doc_controls" not in sys.modules:
        with _missing("tensorflow"):  # of which it wants two decorators for documentation
            importlib.import_module("tfx.utils.doc_controls")


def orchestrating() -> None:
    """Make imports leaner still, in a process that never runs a stage. Does nothing where TensorFlow or Beam is loaded already.

    TFX takes Beam for not installed while its launcher is imported. Executors that run on Beam must not run in this process.
    """
    install()
    if "apache_beam" in sys.modules or not isinstance(sys.modules["tensorflow"], _Unread):
        return
    example_messages()
    with _missing("apache_beam"):
        importlib.import_module("tfx.orchestration.portable.launcher")
        importlib.import_module("tfx.dsl.component.experimental.decorators")
    importlib.import_module("pipeline.local_files").install()


def example_messages() -> None:
    """Import the protocol buffers of tf.Example without TensorFlow, where that is not read: TFX's ExampleGen names them."""
    if isinstance(sys.modules["tensorflow"], _Unread):
        with _path_of("tensorflow"):
            importlib.import_module("tensorflow.core.example.example_pb2")


def without_kfp_client() -> None:
    """Have `kfp.pipeline_spec`, protocol buffers, not import the client of Kubeflow, and with it that of Kubernetes."""
    if "kfp" not in sys.modules:
        _postpone("kfp")


def read_tensorflow() -> None:
    """Read TensorFlow, Keras and TensorFlow Transform, for a process that will need them."""
    with _all_missing(*_NOT_FOR_MODELS):
        for name in _LIBRARIES:
            getattr(sys.modules[name], "__path__", None)


def read_beam() -> None:
    """Read Beam, for a process that will run it, but for what it takes from notebooks."""
    with _all_missing(*_NOT_FOR_STAGES):
        importlib.import_module("apache_beam")


def read_beam_classes() -> None:
    """Read Beam, for a process that never runs it but imports what derives from its classes: without clients of clouds."""
    with _all_missing(*_NOT_FOR_STAGES, *_FOR_CLOUDS):
        importlib.import_module("apache_beam")


def _postpone(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return  # not installed: its first real import says so
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Unread
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


class _Unread(ModuleType):
    """A package whose own code runs when one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if self.__spec__ is None or self.__spec__.loader is None or (name.startswith("__") and name not in _REAL_DUNDERS):
            raise AttributeError(name)
        if "__path__" in self.__dict__ and importlib.util.find_spec(f"{self.__name__}.{name}"):
            return importlib.import_module(f"{self.__name__}.{name}")  # a module below it, which does without the rest
        self.__class__ = ModuleType  # type: ignore[assignment]  # once
        self.__path__ = list(self.__spec__.submodule_search_locations or ())
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


# What Python asks of a module on its own account, such as __wrapped__ or __warningregistry__, is no reason to run its code.
_REAL_DUNDERS = ("__path__", "__version__")


@contextlib.contextmanager
def _path_of(name: str) -> Iterator[None]:
    """Let modules below a postponed library be imported without it."""
    module = sys.modules[name]
    assert module.__spec__ is not None
    module.__dict__["__path__"] = list(module.__spec__.submodule_search_locations or ())
    try:
        yield
    finally:
        module.__dict__.pop("__path__", None)


@contextlib.contextmanager
def _all_missing(*names: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(_missing(name))
        yield


@contextlib.contextmanager
def _missing(name: str) -> Iterator[None]:
    """Let a library seem not to be installed."""
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # what Python itself keeps for that
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
