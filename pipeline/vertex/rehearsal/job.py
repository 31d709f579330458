"""A PipelineJob as a rehearsal sees it: groups of tasks, what each of them is made of and waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Retries:
    """What is done about a task that failed.

    Attributes:
      count: how often it is tried again.
      seconds: before the first time.
      factor: by which that grows from time to time.
      most_seconds: that it grows to.
    """

    count: int = 0
    seconds: float = 0.0
    factor: float = 2.0
    most_seconds: float = 3600.0


@dataclass(frozen=True)
class Task:
    """A node of a group.

    Attributes:
      name: in its group.
      component: the name of what it is an instance of.
      parameters: {name: where the value comes from}, as in the job.
      artifacts: {name: where the artifacts come from}, as in the job.
      needs: tasks of its group that must be done first.
      condition: an expression that must be true for it to run; None: it always does.
      always: it runs whatever became of what it needs: an exit handler.
      cached: an equal execution of an earlier run may be taken for it.
      retries: after a failure.
    """

    name: str
    component: str
    parameters: Json = field(default_factory=dict)
    artifacts: Json = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    condition: str | None = None
    always: bool = False
    cached: bool = False
    retries: Retries = Retries()


@dataclass(frozen=True)
class Group:
    """A graph of tasks.

    Attributes:
      tasks: {name: task}.
      outputs: `outputs` of the graph, as in the job.
    """

    tasks: Mapping[str, Task]
    outputs: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Component:
    """What a task is an instance of: either has an executor, or is a group of tasks.

    Attributes:
      name: of the component.
      input_parameters: {name: type and default}.
      output_parameters: {name: type}.
      output_artifacts: {name: artifact type and metadata}.
      executor: with one of the keys container, importer, resolver; None for a group.
      group: None for a single task.
    """

    name: str
    input_parameters: Json
    output_parameters: Json
    output_artifacts: Json
    executor: Json | None = None
    group: Group | None = None


@dataclass(frozen=True)
class PipelineJob:
    """A job.

    Attributes:
      pipeline: its name.
      folder: where outputs go, `gs://...`.
      root: the outermost group.
      components: {name: component}.
      parameters: the job's own, {name: type and default}.
      values: given for them.
      fails_fast: after a failure nothing more is started.
    """

    pipeline: str
    folder: str
    root: Group
    components: Mapping[str, Component]
    parameters: Json = field(default_factory=dict)
    values: Json = field(default_factory=dict)
    fails_fast: bool = False

    def groups(self) -> Iterator[tuple[str, Group]]:
        """Give every group with the name of what it is in."""
        yield "root", self.root
        for component in self.components.values():
            if component.group:
                yield component.name, component.group

    def leaves(self, group: Group | None = None) -> Iterator[Task]:
        """Give the tasks that are no groups, each after those it needs; names decide where nothing else does."""
        tasks = (group or self.root).tasks
        done: set[str] = set()
        while len(done) < len(tasks):
            ready = [task for name, task in sorted(tasks.items()) if name not in done and task.needs <= done]
            if not ready:
                return  # a circle; refused before
            for task in ready:
                inner = self.components[task.component].group
                if inner:
                    yield from self.leaves(inner)
                else:
                    yield task
                done.add(task.name)
