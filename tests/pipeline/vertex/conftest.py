from __future__ import annotations

from collections.abc import Iterator

import pytest
from vertex_service import run_here

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
