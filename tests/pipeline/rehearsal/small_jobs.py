"""Small jobs whose tasks run real commands, and how to walk them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline.vertex.rehearsal import staging
from pipeline.vertex.rehearsal.commands import Commands
from pipeline.vertex.rehearsal.executing import Site
from pipeline.vertex.rehearsal.results import TaskResult
from pipeline.vertex.rehearsal.walking import Walk

NUMBER = {"artifactType": {"instanceSchema": "title: test.Number\ntype: object\n"}}
# What a task's program begins with: it is told everything as JSON.
_PRELUDE = "import json, os, sys; told = json.loads(sys.argv[1]); values = told['inputs']['parameterValues']\n"
# A program that leaves its parameter `value` as the artifact `number`, and in its metadata.
LEAVE = """
uri = told['outputs']['artifacts']['number']['artifacts'][0]['uri']
open(uri, 'w').write(str(values.get('value', 0)))
written = {'artifacts': {'number': {'artifacts': [{'metadata': {'value': values.get('value', 0)}}]}}}
open(told['outputs']['outputFile'], 'w').write(json.dumps(written))
"""
FAIL = "sys.exit('it broke')"


def part(program: str, **how: Any) -> dict[str, Any]:
    """Describe a task that runs a program.

    Args:
      program: Python; `told` and `values` are what it was told.
      **how: parameters, artifacts (of other tasks, {input: task}), after, condition, always, cached, retries, outputs, gives.
    """
    return {"program": program, **how}


def constant(value: Any) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


def job(*, settings: dict[str, Any] | None = None, name: str = "small", **parts: dict[str, Any]) -> dict[str, Any]:
    """Return a PipelineJob of the tasks that are described."""
    components, executors, tasks = {}, {}, {}
    for task, how in parts.items():
        components[task], executors[f"{task}_executor"], tasks[task] = _task(task, how)
    return {
        "displayName": name,
        "runtimeConfig": {"gcsOutputDirectory": "gs://a-bucket/small/artifacts", **(settings or {})},
        "pipelineSpec": {
            "schemaVersion": "2.1.0",
            "pipelineInfo": {"name": name},
            "components": components,
            "deploymentSpec": {"executors": executors},
            "root": {"dag": {"tasks": tasks}},
        },
    }


def _task(name: str, how: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    parameters = {
        key: value if isinstance(value, dict) else constant(value) for key, value in how.get("parameters", {}).items()
    }
    artifacts = {
        key: {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": "number"}}
        for key, producer in how.get("artifacts", {}).items()
    }
    types = how.get("types", {})
    component = {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": {"parameters": {key: types.get(key, {"parameterType": "STRING"}) for key in parameters}},
        "outputDefinitions": {"artifacts": how.get("outputs", {"number": NUMBER}), "parameters": how.get("gives", {})},
    }
    command = ["python", "-c", _PRELUDE + how["program"]]
    executor = how.get("executor") or {"container": {"image": "i@sha256:0", "command": command, "args": ["{{$}}"]}}
    task = {
        "componentRef": {"name": name},
        "inputs": {"parameters": parameters, "artifacts": artifacts},
        "dependentTasks": how.get("after", []),
        "cachingOptions": {"enableCache": how.get("cached", False)},
    }
    if "condition" in how:
        task["triggerPolicy"] = {"condition": how["condition"]}
    if how.get("always"):
        task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    if "retries" in how:
        task["retryPolicy"] = {"maxRetryCount": how["retries"], "backoffDuration": "60s", "backoffFactor": 2.0}
    return component, executor, task


@dataclass
class Seen:
    """What a walk told, and what became of it."""

    state: str = ""
    results: dict[str, TaskResult] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    site: Site | None = None

    def started(self, task: str) -> None:
        self.order.append(task)

    def doing(self, task: str, text: str) -> None:
        pass

    def ended(self, result: TaskResult) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)

    @property
    def states(self) -> dict[str, str]:
        return {name: result.state for name, result in self.results.items()}

    def text(self, task: str, key: str = "number") -> str:
        """Return what a task left in the file of an output."""
        return Path(self.results[task].outputs.artifacts[key][0].uri).read_text("utf-8")


def walk(raw: dict[str, Any], root: Path, jobs: int = 2, fresh: bool = False, **environment: str) -> Seen:
    """Walk a job in a root, every command in an interpreter of its own."""
    root.mkdir(exist_ok=True)
    commands = Commands(root / "lock", environment=staging.environment(environment))
    staged = staging.stage(raw, root, None)
    site = staging.site(staged, root, root / "logs", commands, datetime.now(timezone.utc))
    site = Site(site.folder, site.logs, site.scratch, site.store, commands, fresh)
    seen = Seen(site=site)
    walked = Walk(staged.job, site, jobs, seen, staging.resource(site))
    seen.state, seen.results = walked.run(), walked.results
    return seen
