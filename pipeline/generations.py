"""What the two generations of TFX (docs/adr/0002) want done differently, but with models: that is in models/generations.py.

Each says why, and when it can go.
"""

from __future__ import annotations

import importlib


def load_protocol_buffers() -> None:
    """Load what protocol buffers of TFMA build on, before any of them is imported without its package.

    protobuf 6, of TFX 1.21, refuses a file whose dependencies are not loaded; those of TFMA 1.21 do not import them themselves,
    its `__init__` does by way of others. Goes when TFMA's generated code imports google/protobuf/wrappers.proto again.
    """
    importlib.import_module("google.protobuf.wrappers_pb2")
