"""What every test may need to know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of this repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_log_handlers() -> Iterator[None]:
    """Take away handlers that a test's code has set up: they write to what pytest has closed by the next test."""
    before = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if type(each) is logging.StreamHandler and each not in before]:
        logging.root.removeHandler(handler)


@pytest.fixture(scope="session")
def current() -> bool:
    """Whether this is TFX 1.21's generation, with TensorFlow 2.21; else it is 1.16's, with TensorFlow 2.16."""
    return metadata.version("tfx") >= "1.21"
