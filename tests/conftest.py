"""What every test may need to know."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of this repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def current() -> bool:
    """Whether this is TFX 1.21's generation, with TensorFlow 2.21; else it is 1.16's, with TensorFlow 2.16."""
    return metadata.version("tfx") >= "1.21"
