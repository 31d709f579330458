"""Stages, as a person knows them, of tasks: TFX makes two tasks of the resolver of the latest blessed model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial

from pipeline.local.results import StageResult, State
from pipeline.local.screen import Screen
from pipeline.local.summary import Made
from pipeline.vertex.rehearsal.results import TaskResult

# Of the tasks of a stage the first of these that there is.
_WORST_FIRST: tuple[State, ...] = ("failed", "not_reached", "skipped", "ran", "reused")


def stage_of(task: str) -> str:
    """Return the stage that a task is a part of."""
    return re.sub(r"-(?:model|model-blessing)-resolver$", "", task)


def stage_results(tasks: Iterable[str], results: Mapping[str, TaskResult]) -> list[StageResult]:
    """Return what became of the stages.

    Args:
      tasks: in the order of the job.
      results: of those that are done; others were not reached.
    """
    stages: dict[str, list[TaskResult]] = {}
    for task in tasks:
        stages.setdefault(stage_of(task), []).append(results.get(task) or TaskResult(task, "not_reached"))
    return [_merged(stage, parts) for stage, parts in stages.items()]


def _merged(stage: str, parts: list[TaskResult]) -> StageResult:
    states = {part.state for part in parts}
    state = next(state for state in _WORST_FIRST if state in states)
    error = next((part.error for part in parts if part.error), None)
    return StageResult(stage, state, sum(part.seconds for part in parts), error)


class TaskOutputs:
    """Outputs of stages, of what their tasks gave."""

    def __init__(self, results: Mapping[str, TaskResult]):
        self._results = results

    def get(self, stage_id: str, key: str) -> Made | None:
        """Return a stage's output, None when it has none."""
        for name, result in self._results.items():
            artifacts = result.outputs.artifacts.get(key)
            if stage_of(name) == stage_id and artifacts:
                return Made(artifacts[0].uri, artifacts[0].metadata)
        return None


class OnScreen:
    """Shows tasks as stages."""

    def __init__(self, screen: Screen, tasks: Iterable[str]):
        self._screen, self._results = screen, dict[str, TaskResult]()
        self._tasks = list(tasks)
        self._begun: set[str] = set()
        screen.begin(list(dict.fromkeys(map(stage_of, self._tasks))))

    def started(self, task: str) -> None:
        """Show that a stage is running."""
        stage = stage_of(task)
        if stage not in self._begun:
            self._begun.add(stage)
            self._screen.start_stage(stage)

    def doing(self, task: str, text: str) -> None:
        """Show what it does."""
        self._screen.say_doing(stage_of(task), text)

    def ended(self, result: TaskResult) -> None:
        """Show what became of a stage, once its last task is done."""
        self._results[result.name] = result
        stage = stage_of(result.name)
        parts = [task for task in self._tasks if stage_of(task) == stage]
        # Locally too what is not reached has no line of its own.
        if all(map(partial(dict.__contains__, self._results), parts)) and result.state != "not_reached":
            self._screen.end_stage(stage_results(parts, self._results)[0])

    def say(self, text: str) -> None:
        """Print a line."""
        self._screen.say(text, "yellow")
