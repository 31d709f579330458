"""In a rehearsal a stand-in of Vertex AI does what tasks ask the API for: custom jobs and searches, as processes here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.vertex.rehearsal.adapting import containers_in
from pipeline.vertex.rehearsal.commands import Command, Commands
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.stand_in.machines import Machines

if TYPE_CHECKING:
    from pipeline.vertex.rehearsal.job import Json

_LAUNCHED, _SEARCHED = "--location", "--tuning_location="


class Cloud:
    """Where the stand-in is, and what runs its jobs' containers.

    Attributes:
      endpoint: address of the API.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._commands: Commands | None = None
        self._folder = Path()

    def use(self, commands: Commands, folder: Path) -> None:
        """Run containers by commands, each with a log in a folder."""
        self._commands, self._folder = commands, folder

    def run(self, name: str, argv: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a container's command; return why it failed, "" where it did not."""
        assert self._commands is not None
        log = self._folder / f"{name}.txt"
        try:
            self._commands.run(Command(name, tuple(argv), log, self._folder / f".{name}", environment))
        except TaskFailedError as error:
            return str(error)
        return ""


@contextlib.contextmanager
def cloud_for(job: Json) -> Iterator[Cloud | None]:
    """Have something stand for Vertex AI while a job is walked; None where none of its tasks asks for anything."""
    location = _location(job)
    if location is None:
        yield None
        return
    from pipeline.vertex.stand_in.server import StandIn

    cloud = Cloud()
    machines = Machines(cloud.run)
    work: dict[str, Any] = {"CustomJob": machines.custom_job, "HyperparameterTuningJob": machines.tuning_job}
    _, project, _, region = location.split("/")
    with StandIn(project, region, work) as running:
        cloud.endpoint = running.endpoint
        yield cloud


def _location(job: Json) -> str | None:
    """Return projects/P/locations/R of whatever a task asks the API for."""
    for _, container in containers_in(job):
        args = list(container.get("args", []))
        if container.get("command", [])[-1:] == ["pipeline.vertex.launch"]:
            return args[args.index(_LAUNCHED) + 1]
        for arg in args:
            if arg.startswith(_SEARCHED):
                return arg.removeprefix(_SEARCHED)
    return None
