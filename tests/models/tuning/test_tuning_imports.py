"""What reading a config may not cost: libraries that take seconds to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {
    "tensorflow",
    "tf_keras",
    "keras_tuner",
    "sklearn",
    "scipy",
    "pandas",
    "matplotlib",
    "jinja2",
    "google.cloud.aiplatform_v1",
}


@pytest.mark.parametrize("module", ["report.importance", "report.writing", "report.page", "vizier"])
def test_module_is_imported_without_what_only_its_functions_need(module: str, repository: Path):
    code = f"import sys, models.tuning.{module}; print(*sorted({SLOW!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == ""
