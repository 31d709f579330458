"""A root with two versions of both models, for tests of what becomes of versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline_runs import Finished, run_here
from small_pipeline import COMPRESSION, write_config


def make(folder: Path) -> Path:
    """Run the small pipeline with the seeds 1 and 2; return the root, and keep a copy of it to put back."""
    root = write_config(folder, **COMPRESSION).parent / "root"
    for seed in (1, 2):
        done = run_with_seed(root, seed)
        assert done.code == 0, done.output
    shutil.copytree(root, folder / "saved", symlinks=True)
    return root


def put_back(root: Path) -> Path:
    """Return the root as `make` left it: artifacts know where they are, so it must be the same place."""
    shutil.rmtree(root)
    shutil.copytree(root.parent / "saved", root, symlinks=True)
    return root


def run_with_seed(root: Path, seed: int, *overrides: str) -> Finished:
    return run_here(root.parent / "config.yaml", root, f"fit.seed={seed}", *overrides)


def run_command(repository: Path, name: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run `runner_local.py <name>` as a user would."""
    return subprocess.run(
        [sys.executable, "runner_local.py", name, *map(str, arguments)],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
