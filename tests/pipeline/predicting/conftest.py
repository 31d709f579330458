"""Pushed models to score with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with version 1 of a model that predicts amount + 100 * area + 10,000 * (bytes of word)."""
    from toy_models import write_toy

    root = tmp_path_factory.mktemp("regression")
    write_toy(root / "pushed" / "saved_model" / "1")
    return root


@pytest.fixture(scope="session")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that gives 0.75 to the class at position `area`: cat, dog, "ant, red"."""
    from toy_models import write_toy

    return write_toy(tmp_path_factory.mktemp("multiclass") / "model", ["cat", "dog", "ant, red"])
