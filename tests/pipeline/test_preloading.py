"""What is imported ahead exists, and covers the stages; what cannot be imported stops nobody."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.graph import build_pipeline
from pipeline.local.preloading import HEAVY, LIGHT, LIGHT_STAGES, Step
from pipeline.local.runtime import LocalRuntime

MODULES = [module for step in (*LIGHT, *HEAVY) for module in (*step.modules, *step.stages)]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_exists(module: str) -> None:
    assert importlib.util.find_spec(module)


def test_executors_of_the_taxi_pipeline_are_imported_ahead(repository: Path, tmp_path: Path) -> None:
    graph = build_pipeline(load_config(repository / "configs" / "taxi.yaml"), LocalRuntime(tmp_path))
    paths = {component.id: component.executor_spec.class_path for component in graph.components}
    del paths["LatestBlessedModel"]  # the runner resolves it itself
    assert len(paths) == 12
    for stage, path in paths.items():
        assert path.rpartition(".")[0] in MODULES, stage
    light = {stage for stage, path in paths.items() if path.rpartition(".")[0] in LIGHT_STAGES}
    heavy = {"Transform", "Trainer", "Evaluator", "Compressor"}
    assert light == set(paths) - heavy


def test_light_stages_wait_for_no_tensorflow(repository: Path) -> None:
    program = (
        "import sys; from pipeline import lean_imports; lean_imports.install()\n"
        "from pipeline import local_files; local_files.install()\n"
        "from pipeline.local.preloading import LIGHT\n"
        "for step in LIGHT: step.take()\n"
        "print(sorted({'pipeline.components.publisher', 'tensorflow.python'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "['pipeline.components.publisher']\n"


def test_what_cannot_be_imported_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    Step(modules=("pipeline.there_is_no_such_module",)).take()
    assert "An import ahead of the stages failed." in caplog.text
