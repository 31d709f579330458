"""Answers for Vertex AI in a rehearsal: custom jobs and searches that tasks ask for are processes of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.vertex.rehearsal.adapting import asks_for_service
from pipeline.vertex.rehearsal.commands import Command, Commands
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.job import Json


@contextlib.contextmanager
def service_here(job: Json, location: str, commands: Commands, logs: Path, scratch: Path) -> Iterator[str | None]:
    """Give the address of the service, None where no task of the job asks it: its library takes seconds to import.

    Args:
      job: as compiled.
      location: projects/P/locations/R.
      commands: runs what the jobs' containers would.
      logs: folder of a log for each of them.
      scratch: folder that they are run in.
    """
    if not asks_for_service(job):
        yield None
        return
    from pipeline.vertex.stand_in.answering import Work
    from pipeline.vertex.stand_in.machines import Machines
    from pipeline.vertex.stand_in.server import StandIn

    def run(name: str, argv: Sequence[str], environment: Mapping[str, str]) -> str:
        try:
            commands.run(Command(name, tuple(argv), logs / f"{name}.txt", scratch / name, environment))
        except TaskFailedError as error:
            return str(error)
        return ""

    machines, (_, project, _, region) = Machines(run), location.split("/")
    work: dict[str, Work] = {"CustomJob": machines.custom_job, "HyperparameterTuningJob": machines.tuning_job}
    with StandIn(project, region, work) as service:
        yield service.endpoint
