"""What the service would refuse at once, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipeline.vertex.rehearsal.errors import RefusedError
from pipeline.vertex.rehearsal.job import Component, Group, Json, PipelineJob, Task

_SCHEMA_VERSION = "2.1."
_NAME = r"[a-z0-9][a-z0-9-]{0,127}"  # of PipelineInfo in pipeline_spec.proto
_EXECUTORS = ("container", "importer", "resolver")
_PARAMETERS = ("runtimeValue", "componentInputParameter", "taskOutputParameter", "taskFinalStatus")
_ARTIFACTS = ("taskOutputArtifact", "componentInputArtifact")


def check(job: PipelineJob, raw: Json) -> None:
    """Refuse a job with every mistake in one message.

    Args:
      job: as read.
      raw: the JSON that it was read from.

    Raises:
      RefusedError: the service would not take it.
    """
    mistakes = [*_outside(job, raw), *_parameters(job)]
    for where, group in job.groups():
        mistakes += [mistake for task in group.tasks.values() for mistake in _task(job, group, task, where)]
        if circle := _circle(group):
            mistakes.append(f"{where}: {', '.join(circle)} wait for one another in a circle. Remove one of the dependencies.")
    if mistakes:
        raise RefusedError(mistakes)


def _outside(job: PipelineJob, raw: Json) -> Iterator[str]:
    version = raw.get("pipelineSpec", {}).get("schemaVersion", "")
    if not version.startswith(_SCHEMA_VERSION):
        yield f"schemaVersion is '{version}', a rehearsal reads {_SCHEMA_VERSION}x. Compile with runner_vertex.py."
    if not re.fullmatch(_NAME, job.pipeline):
        yield (
            f"pipelineInfo.name is '{job.pipeline}'; expected lower-case letters, digits and dashes, 128 at most. "
            "Change `name` in the config."
        )
    if not re.match(r"gs://[^/]+", job.folder):
        yield f"gcsOutputDirectory is '{job.folder}'; expected gs://BUCKET/FOLDER. Name the bucket in the runtime file."
    if not job.root.tasks:
        yield "The job has no task."


def _parameters(job: PipelineJob) -> Iterator[str]:
    for name, spec in job.parameters.items():
        if name not in job.values and "defaultValue" not in spec and not spec.get("isOptional"):
            yield f"The runtime parameter '{name}' has no value and no default. Give one in runtimeConfig.parameterValues."
        elif name in job.values and not _fits(job.values[name], spec.get("parameterType", "")):
            yield f"The runtime parameter '{name}' is {job.values[name]!r}; expected a {spec['parameterType']}."
    for name in sorted(set(job.values) - set(job.parameters)):
        yield f"The job has no runtime parameter '{name}'. It has: {', '.join(sorted(job.parameters)) or 'none'}."


def _fits(value: Any, kind: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fitting = {
        "STRING": isinstance(value, str),
        "BOOLEAN": isinstance(value, bool),
        "NUMBER_DOUBLE": number,
        "NUMBER_INTEGER": number and float(value).is_integer() if number else False,
        "LIST": isinstance(value, list),
        "STRUCT": isinstance(value, dict),
    }
    return fitting.get(kind, True)


def _task(job: PipelineJob, group: Group, task: Task, where: str) -> Iterator[str]:
    at = f"{where}.{task.name}"
    for needed in sorted(task.needs - set(group.tasks)):
        yield f"{at} waits for '{needed}', which is no task of this group. It has: {', '.join(sorted(group.tasks))}."
    component = job.components.get(task.component)
    if component is None:
        yield f"{at} is an instance of the component '{task.component}', which the job does not have."
        return
    if not component.group and not any(kind in (component.executor or {}) for kind in _EXECUTORS):
        yield f"{at} has no executor: expected one of {', '.join(_EXECUTORS)} under deploymentSpec.executors."
    if (container := (component.executor or {}).get("container")) and not container.get("image"):
        yield f"{at} names no container image."
    yield from _inputs(job, group, task, at)
    given = set(task.parameters)
    for name, spec in component.input_parameters.items():
        if name not in given and "defaultValue" not in spec and not spec.get("isOptional"):
            yield f"{at} gets no value for its parameter '{name}', which has no default."
    for name in sorted(given - set(component.input_parameters)):
        yield f"{at} gets a value for '{name}', which is no parameter of {component.name}."


def _inputs(job: PipelineJob, group: Group, task: Task, at: str) -> Iterator[str]:
    for inputs, kinds in ((task.parameters, _PARAMETERS), (task.artifacts, _ARTIFACTS)):
        for name, source in inputs.items():
            kind = next((kind for kind in kinds if kind in source), None)
            if kind is None:
                told = ", ".join(source) or "nowhere"
                yield f"{at}: the input '{name}' comes from {told}; expected one of {', '.join(kinds)}."
            elif kind.startswith("taskOutput"):
                producer = group.tasks.get(source[kind].get("producerTask", ""))
                made = job.components.get(producer.component) if producer else None
                if made:
                    yield from _output(made, kind, source[kind], f"{at}: the input '{name}'")


def _output(made: Component, kind: str, source: Json, what: str) -> Iterator[str]:
    key = source.get("outputArtifactKey" if kind == "taskOutputArtifact" else "outputParameterKey")
    known = made.output_artifacts if kind == "taskOutputArtifact" else made.output_parameters
    if key not in known:
        yield f"{what} is the output '{key}' of {source['producerTask']}, which has: {', '.join(known) or 'none'}."


def _circle(group: Group) -> list[str]:
    """Return the tasks that can never start, [] for none; those that wait for strangers are told elsewhere."""
    left = {name: task.needs & set(group.tasks) for name, task in group.tasks.items()}
    while ready := [name for name, needed in left.items() if not needed & set(left)]:
        for name in ready:
            del left[name]
    return sorted(left)
