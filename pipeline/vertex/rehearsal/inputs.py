"""What a task is told: parameters and artifacts of its surroundings and of the tasks before it, and where its outputs go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.vertex.rehearsal.artifacts import Artifact, Artifacts
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.job import Component, Json, Task
from pipeline.vertex.rehearsal.reading import constant
from pipeline.vertex.rehearsal.store import Outputs
from pipeline.vertex.rehearsal.values import on_the_wire, typed


@dataclass(frozen=True)
class Scope:
    """What tasks of a group can refer to.

    Attributes:
      parameters: of the group, {name: value}.
      artifacts: of the group, {name: artifacts}.
      outputs: {task of the group: what it gave}.
      final_status: gives the PipelineTaskFinalStatus of a task of the group.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=dict)
    outputs: Mapping[str, Outputs] = field(default_factory=dict)
    final_status: Callable[[str], Json] = lambda task: {}


@dataclass(frozen=True)
class Inputs:
    """Of a task, {name: value} and {name: artifacts}."""

    parameters: Mapping[str, Any]
    artifacts: Artifacts


def inputs_of(task: Task, component: Component, scope: Scope) -> Inputs:
    """Gather what a task is given.

    Raises:
      TaskFailedError: an earlier task did not leave what it should.
    """
    specs = component.input_parameters
    parameters = {name: typed(spec["defaultValue"], spec) for name, spec in specs.items() if "defaultValue" in spec}
    for name, source in task.parameters.items():
        value = _parameter(name, source, scope)
        if value is not None:
            parameters[name] = typed(value, specs.get(name, {}))
    artifacts = {name: _artifacts(name, source, scope) for name, source in task.artifacts.items()}
    return Inputs(parameters, artifacts)


def _parameter(name: str, source: Json, scope: Scope) -> Any:
    if "runtimeValue" in source:
        value = source["runtimeValue"]
        if "runtimeParameter" in value:
            return scope.parameters[value["runtimeParameter"]]
        return constant(value.get("constantValue", value.get("constant")))
    if "componentInputParameter" in source:
        return scope.parameters.get(source["componentInputParameter"])
    if "taskFinalStatus" in source:
        return json.dumps(scope.final_status(source["taskFinalStatus"]["producerTask"]))
    producer, key = source["taskOutputParameter"]["producerTask"], source["taskOutputParameter"]["outputParameterKey"]
    given = scope.outputs.get(producer, Outputs()).parameters
    if key not in given:
        raise TaskFailedError(f"The parameter '{name}' is the output '{key}' of {producer}, which left none.")
    return given[key]


def _artifacts(name: str, source: Json, scope: Scope) -> tuple[Artifact, ...]:
    """Return artifacts; none where there are none, such as of a resolver that found nothing [reading]."""
    if "componentInputArtifact" in source:
        return scope.artifacts.get(source["componentInputArtifact"], ())
    wanted = source["taskOutputArtifact"]
    return scope.outputs.get(wanted["producerTask"], Outputs()).artifacts.get(wanted["outputArtifactKey"], ())


@dataclass(frozen=True)
class Places:
    """Where the outputs of an execution go.

    Attributes:
      folder: of the execution.
      artifacts: {name: pending artifact}.
      parameters: {name: path of a file for the value}.
    """

    folder: str
    artifacts: Mapping[str, Artifact]
    parameters: Mapping[str, str]

    @property
    def output_file(self) -> str:
        return f"{self.folder}/executor_output.json"


def executor_input(inputs: Inputs, places: Places) -> dict[str, Any]:
    """Return the ExecutorInput that a task gets for `{{$}}`."""
    return {
        "inputs": {
            "parameterValues": on_the_wire(inputs.parameters),
            "artifacts": {
                name: {"artifacts": [_runtime(artifact) for artifact in each]} for name, each in inputs.artifacts.items()
            },
        },
        "outputs": {
            "artifacts": {name: {"artifacts": [_runtime(artifact)]} for name, artifact in places.artifacts.items()},
            "parameters": {name: {"outputFile": path} for name, path in places.parameters.items()},
            "outputFile": places.output_file,
        },
    }


def _runtime(artifact: Artifact) -> dict[str, Any]:
    return artifact.to_runtime() | {"metadata": on_the_wire(artifact.metadata)}
