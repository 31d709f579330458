"""Executes one task as the service would: condition, driver, cache, command, outputs."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.local.results import State
from pipeline.vertex.rehearsal.artifacts import Artifact
from pipeline.vertex.rehearsal.commands import Command, Commands
from pipeline.vertex.rehearsal.conditions import holds
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.inputs import Inputs, Places, Scope, executor_input, inputs_of
from pipeline.vertex.rehearsal.job import Component, Json, Task
from pipeline.vertex.rehearsal.placeholders import NothingThereError, fill
from pipeline.vertex.rehearsal.reading import constant
from pipeline.vertex.rehearsal.store import Outputs, Store
from pipeline.vertex.rehearsal.values import on_the_wire, typed


@dataclass(frozen=True)
class Site:
    """Where the tasks of a job are executed.

    Attributes:
      folder: of the job: {root}/{project number}/{job id}.
      logs: folder of a log for each task.
      scratch: folder that commands are run in.
      store: of artifacts.
      commands: runs them.
      fresh: nothing of earlier rehearsals is taken.
    """

    folder: str
    logs: Path
    scratch: Path
    store: Store
    commands: Commands
    fresh: bool = False

    def log_of(self, task: str) -> Path:
        return self.logs / f"{task}.txt"


@dataclass(frozen=True)
class Executed:
    """What became of an execution.

    Attributes:
      state: ran, reused or skipped.
      outputs: what it gave.
      seconds_waited: for a process to be ready.
    """

    state: State
    outputs: Outputs = field(default_factory=Outputs)
    seconds_waited: float = 0.0


def execute(task: Task, component: Component, scope: Scope, site: Site, doing: Callable[[str], None]) -> Executed:
    """Execute a task.

    Raises:
      TaskFailedError: it failed.
    """
    inputs = inputs_of(task, component, scope)
    if task.condition and not holds(task.condition, for_condition(inputs)):
        return Executed("skipped")
    executor = component.executor or {}
    if "importer" in executor:
        return Executed("ran", _import(executor["importer"], component, inputs, site.store))
    if "resolver" in executor:
        return Executed("ran", _resolve(executor["resolver"], inputs, site.store))
    return _Container(task, component, inputs, site, doing).execute()


def for_condition(inputs: Inputs) -> dict[str, Any]:
    """Return what `inputs` stands for in a condition."""
    told = executor_input(inputs, Places("", {}, {}))["inputs"]
    values = told["parameterValues"]
    return {"artifacts": told["artifacts"], "parameters": values, "parameter_values": values, "parameterValues": values}


def _import(importer: Json, component: Component, inputs: Inputs, store: Store) -> Outputs:
    source = importer["artifactUri"]
    if "runtimeParameter" in source:
        uri = inputs.parameters.get(source["runtimeParameter"])
    else:
        uri = constant(source.get("constantValue", source.get("constant")))
    if not isinstance(uri, str) or not uri:
        raise TaskFailedError(f"The importer has no URI: {source}.")
    metadata = {
        name: constant(value) for name, value in {**importer.get("properties", {}), **importer.get("metadata", {})}.items()
    }
    new = store.new(importer.get("typeSchema", {}), uri, metadata)
    name = next(iter(component.output_artifacts), "artifact")
    known = None if importer.get("reimport") else store.imported(new)
    return Outputs({name: (known,)}) if known else store.publish(Outputs({name: (new,)}), None)


def _resolve(resolver: Json, inputs: Inputs, store: Store) -> Outputs:
    """Find artifacts; none where a filter asks an artifact that there is none of [reading]."""
    told = executor_input(inputs, Places("", {}, {}))
    found: dict[str, tuple[Artifact, ...]] = {}
    for name, query in resolver.get("outputArtifactQueries", {}).items():
        try:
            found[name] = store.query(fill(query["filter"], told), int(query.get("limit", 1)))
        except NothingThereError:
            found[name] = ()
    return Outputs(found)


class _Container:
    """One execution of a container."""

    def __init__(self, task: Task, component: Component, inputs: Inputs, site: Site, doing: Callable[[str], None]):
        self._task, self._component, self._inputs, self._site, self._doing = task, component, inputs, site, doing
        self._container: Json = (component.executor or {})["container"]
        self._waited = 0.0
        folder = f"{site.folder}/{task.name}_{secrets.randbits(64) - (1 << 63)}"
        artifacts = {
            name: site.store.new(spec.get("artifactType", {}), f"{folder}/{name}", _constants(spec.get("metadata", {})))
            for name, spec in component.output_artifacts.items()
        }
        self._places = Places(folder, artifacts, {name: f"{folder}/{name}" for name in component.output_parameters})

    def execute(self) -> Executed:
        os.makedirs(self._places.folder, exist_ok=True)
        hook = self._container.get("lifecycle", {}).get("preCacheCheck")
        if hook:
            self._run(hook)
            self._merge_driver_output()
        key = cache_key(self._component, self._container, self._inputs) if self._task.cached else None
        if key and not self._site.fresh and (found := self._site.store.cached(key)):
            shutil.rmtree(self._places.folder, ignore_errors=True)
            return Executed("reused", found, self._waited)
        self._run(self._container)
        return Executed("ran", self._site.store.publish(self._outputs(), key), self._waited)

    def _run(self, what: Json) -> None:
        told = executor_input(self._inputs, self._places)
        texts = [*what.get("command", []), *what.get("args", [])]
        try:
            argv = tuple(fill(text, told) for text in texts)
        except NothingThereError as error:
            raise TaskFailedError(f"The command asks for an artifact that there is none of: {error}.") from None
        environment = {each["name"]: each.get("value", "") for each in self._container.get("env", [])}
        name = self._task.name
        command = Command(name, argv, self._site.log_of(name), self._site.scratch / name, environment)
        self._waited += self._site.commands.run(command, self._doing)

    def _merge_driver_output(self) -> None:
        """Take what a driver found out before the cache is looked up and the executor runs."""
        told = self._read_output_file()
        self._inputs = replace(self._inputs, parameters={**self._inputs.parameters, **told.get("parameterValues", {})})
        self._places = replace(self._places, artifacts=self._told_artifacts(told))

    def _outputs(self) -> Outputs:
        told = self._read_output_file()
        values = dict(told.get("parameterValues", {}))
        for name, path in self._places.parameters.items():
            if name not in values and os.path.isfile(path):
                values[name] = Path(path).read_text("utf-8")
        specs = self._component.output_parameters
        parameters = {name: typed(value, specs.get(name, {})) for name, value in values.items()}
        return Outputs({name: (artifact,) for name, artifact in self._told_artifacts(told).items()}, parameters)

    def _read_output_file(self) -> dict[str, Any]:
        path = Path(self._places.output_file)
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text("utf-8") or "{}")
        except ValueError:
            raise TaskFailedError(f"{path} is no JSON: the service could not read what the task made.") from None

    def _told_artifacts(self, told: Json) -> dict[str, Artifact]:
        artifacts = dict(self._places.artifacts)
        for name, each in told.get("artifacts", {}).items():
            if name not in artifacts:
                raise TaskFailedError(f"The task left an artifact '{name}'; its outputs are: {', '.join(artifacts) or 'none'}.")
            for one in each.get("artifacts", [])[:1]:
                if one.get("name", artifacts[name].name) != artifacts[name].name:
                    raise TaskFailedError(f"The task renamed the artifact '{name}' to {one['name']}.")
                artifacts[name] = artifacts[name].with_metadata(one.get("metadata", {}), one.get("uri"))
        return artifacts


def _constants(metadata: Json) -> dict[str, Any]:
    return {name: constant(value) for name, value in metadata.items()}


def cache_key(component: Component, container: Json, inputs: Inputs) -> str:
    """Return what two executions have in common that are taken for one another.

    Interface, image, command, environment, values, and the names of the artifacts that go in [reading]: neither machines nor
    what files hold.
    """
    runs: Mapping[str, Any] = {key: value for key, value in container.items() if key != "resources"}
    facts = [
        component.input_parameters,
        component.output_parameters,
        component.output_artifacts,
        runs,
        on_the_wire(inputs.parameters),
        {name: [artifact.name for artifact in each] for name, each in inputs.artifacts.items()},
    ]
    return "sha256:" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
