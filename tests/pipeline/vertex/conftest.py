from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result
from vertex_service import JOBS_RUNTIME, Run, run_here

import runner_vertex
from pipeline.vertex.jobs import api, commands, watching
from pipeline.vertex.stand_in.machines import Machines
from pipeline.vertex.stand_in.server import StandIn


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Vertex AI whose machines are this one, where the API is asked for while a test runs."""
    machines = Machines(run_here)
    work = {"CustomJob": machines.custom_job, "HyperparameterTuningJob": machines.tuning_job}
    with StandIn("my-project", "europe-west4", work) as running:
        monkeypatch.setenv("AIPLATFORM_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> tuple[commands.What, Any]:
    file = tmp_path_factory.mktemp("runtime") / "vertex.yaml"
    file.write_text(yaml.safe_dump(JOBS_RUNTIME))
    what = commands.What(repository / "configs" / "taxi.yaml", file)
    return what, commands._compiled(what)


@pytest.fixture
def run(compiled: tuple[commands.What, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line; the job is compiled once for all tests."""
    what, (config, runtime, job) = compiled
    monkeypatch.setattr(commands, "_compiled", lambda _: (config, runtime, copy.deepcopy(job)))
    for module, names in ((api, ("_FIRST_PAUSE_SECONDS", "_LONGEST_PAUSE_SECONDS")), (watching, ("_FIRST_PAUSE_SECONDS",))):
        for name in names:
            monkeypatch.setattr(module, name, 0.05)
    monkeypatch.setattr(api, "_PATIENCE_SECONDS", 2.0)

    def call(command: str, *arguments: str, files: bool = False) -> Result:
        given = ["--config", str(what.config), "--runtime", str(what.runtime)] if files else []
        return CliRunner().invoke(runner_vertex.app, [command, *given, *arguments])

    return call
