"""Real pipeline runs, each made once per session."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline_runs import Finished, run_cli
from two_versions import make


@pytest.fixture(scope="session")
def taxi(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The main job: configs/taxi.yaml, as `make run` runs it."""
    return run_cli(repository, "--config", "configs/taxi.yaml", root=tmp_path_factory.mktemp("taxi") / "root")


@pytest.fixture(scope="session")
def taxi_again(taxi: Finished, repository: Path) -> Finished:
    """The same command once more."""
    assert taxi.code == 0, taxi.output
    return run_cli(repository, "--config", "configs/taxi.yaml", root=taxi.root)


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two versions of both models; tests put it back before they change it."""
    return make(tmp_path_factory.mktemp("two_versions"))
