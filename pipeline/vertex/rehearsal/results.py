"""What became of tasks, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.local.results import State
from pipeline.vertex.rehearsal.job import Group
from pipeline.vertex.rehearsal.store import Outputs

# How the service calls what became of a task: PipelineTaskDetail.State.
SERVICE_STATES: Mapping[State, str] = {
    "ran": "SUCCEEDED",
    "reused": "SKIPPED",
    "failed": "FAILED",
    "skipped": "NOT_TRIGGERED",
    "not_reached": "NOT_TRIGGERED",
}


@dataclass(frozen=True)
class TaskResult:
    """What became of a task.

    Attributes:
      name: of the task.
      state: what became of it; skipped: its condition, or that of one before it, was false.
      seconds: that it worked.
      error: the innermost cause.
      tries: how often it was run.
      outputs: what it gave.
    """

    name: str
    state: State
    seconds: float = 0.0
    error: str | None = None
    tries: int = 0
    outputs: Outputs = field(default_factory=Outputs)


class Watcher(Protocol):
    """Is told what happens, one call at a time."""

    def started(self, task: str) -> None:
        """Be told that a task begins."""

    def doing(self, task: str, text: str) -> None:
        """Be told what it does."""

    def ended(self, result: TaskResult) -> None:
        """Be told what became of it."""

    def say(self, text: str) -> None:
        """Be told anything else."""


def group_outputs(group: Group, given: Mapping[str, Outputs]) -> Outputs:
    """Return what a group gives of what its tasks gave."""
    artifacts = {}
    for name, spec in group.outputs.get("artifacts", {}).items():
        chosen = [(each["producerSubtask"], each["outputArtifactKey"]) for each in spec.get("artifactSelectors", [])]
        artifacts[name] = tuple(one for task, key in chosen for one in given.get(task, Outputs()).artifacts.get(key, ()))
    parameters = {}
    for name, spec in group.outputs.get("parameters", {}).items():
        one = spec.get("valueFromParameter", {})
        values = given.get(one.get("producerSubtask", ""), Outputs()).parameters
        if one.get("outputParameterKey") in values:
            parameters[name] = values[one["outputParameterKey"]]
    return Outputs(artifacts, parameters)
