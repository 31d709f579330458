"""What the two generations of TFX (docs/adr/0002) want done differently, but with models: that is in models/generations.py.

Each says why, and when it can go.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, NoReturn


def load_protocol_buffers() -> None:
    """Load what protocol buffers of TFMA build on, before any of them is imported without its package.

    protobuf 6, of TFX 1.21, refuses a file whose dependencies are not loaded; those of TFMA 1.21 do not import them themselves,
    its `__init__` does by way of others. Goes when TFMA's generated code imports google/protobuf/wrappers.proto again.
    """
    importlib.import_module("google.protobuf.wrappers_pb2")


def keep_beam_in_process() -> None:
    """Have Beam's DirectRunner run pipelines in this process, as it did before Beam 2.68.

    It first tries Prism, a program that it downloads while the pipeline runs: hosts of pipelines often cannot, and no lock file
    names it. Where Prism fails it goes on in the process, so here it always does. Goes when Beam has an option for that.
    """
    name = "apache_beam.runners.portability.prism_runner"
    if name not in sys.modules:
        module = ModuleType(name, "Takes the place of Prism's runner.")
        module.PrismRunner = _NoPrism  # type: ignore[attr-defined]
        sys.modules[name] = module


class _NoPrism:
    def run_pipeline(self, *_: Any) -> NoReturn:
        raise RuntimeError("Beam stays in the process here (pipeline/generations.py).")


def complete_tfma() -> None:
    """Give TFMA's package the protocol buffers that TFX's Evaluator takes from it.

    TFMA 1.21 exports them no more (`tfma.EvalConfig` and others, though its `__all__` names them), and the Evaluator of TFX
    1.21 fails for want of them. Goes when `tensorflow_model_analysis/sdk.py` exports them again.
    """
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    for name in config_pb2.DESCRIPTOR.message_types_by_name:
        if not hasattr(tfma, name):
            setattr(tfma, name, getattr(config_pb2, name))
