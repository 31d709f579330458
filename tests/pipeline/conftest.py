"""Config files that tests write and load."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:  # imports TensorFlow
    from mini_config import Load

    from pipeline.config import PipelineConfig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mini.yaml"


@pytest.fixture
def load(path: Path) -> Load:
    """Write a config that differs from MINI in some sections, and load it."""
    from mini_config import MINI

    from pipeline.config import load_config

    def write_and_load(*overrides: str, without: str = "", **sections: Any) -> PipelineConfig:
        values = {name: value for name, value in (copy.deepcopy(dict(MINI)) | sections).items() if name != without}
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_config(path, overrides)

    return write_and_load
