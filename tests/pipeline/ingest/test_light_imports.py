"""Reading a config and looking at files must not take TensorFlow or TFX: that is seconds before a mistake is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "tfx", "tfx_bsl", "apache_beam")


@pytest.mark.parametrize("module", ["pipeline.data_config", "pipeline.ingest.ingesting", "pipeline.ingest.spans"])
def test_a_module_is_imported_without_what_is_heavy(repository: Path, module: str):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
