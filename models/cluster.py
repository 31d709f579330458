"""The workers of a training over several processes, as the environment variable TF_CONFIG names them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_VARIABLE = "TF_CONFIG"
_CHIEF, _WORKER = "chief", "worker"
EVALUATOR = "evaluator"
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}, '
    "the same cluster for every worker and each its own index"
)


@dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Attributes:
      addresses: "host:port" of every worker, the chief's first.
      position: of this process among them.
      task: what TF_CONFIG calls it, such as "worker 1".
    """

    addresses: tuple[str, ...]
    position: int
    task: str

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the model, logs and checkpoints: the `chief`, or worker 0 where there is none."""
        return self.position == 0


def read_cluster(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """Return what TF_CONFIG says; None where it is not set or names no cluster, as for a job of one machine.

    Raises:
      ValueError: it cannot be what was meant, with the cure.
    """
    text = (os.environ if environment is None else environment).get(_VARIABLE)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _fault(f"is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise _fault(f"is no JSON object but {text}")
    if not content.get("cluster"):
        return None
    return _cluster(_addresses(content["cluster"]), content.get("task"))


def is_evaluator(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether TF_CONFIG says that this process trains nothing, but evaluates what others train."""
    try:
        content = json.loads((os.environ if environment is None else environment).get(_VARIABLE) or "{}")
    except json.JSONDecodeError:
        return False  # for `read_cluster` to tell of
    task = content.get("task") if isinstance(content, dict) else None
    return isinstance(task, dict) and task.get("type") == EVALUATOR


def is_chief() -> bool:
    """Return whether this process is to write what a training leaves: always, but for the others of a cluster.

    Raises:
      ValueError: TF_CONFIG is broken.
    """
    if is_evaluator():
        return False
    cluster = read_cluster()
    return cluster is None or cluster.is_chief


def _addresses(jobs: Any) -> dict[str, list[str]]:
    if not isinstance(jobs, dict) or not all(
        isinstance(names, list) and names and all(isinstance(name, str) and ":" in name for name in names)
        for names in jobs.values()
    ):
        raise _fault(f'has the cluster {json.dumps(jobs)}, not {{"worker": ["host:port", ...]}}')
    if strange := sorted(jobs.keys() - {_CHIEF, _WORKER}):
        raise _fault(f"has tasks of the type {', '.join(strange)}; only {_CHIEF} and {_WORKER} take part in a training here")
    if len(jobs.get(_CHIEF, [])) > 1:
        raise _fault(f"names {len(jobs[_CHIEF])} chiefs; there is one at most")
    names = [name for each in jobs.values() for name in each]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _fault(f"names {', '.join(repeated)} more than once")
    return jobs


def _cluster(jobs: dict[str, list[str]], task: Any) -> Cluster:
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _fault(f"does not say which worker this is: its task is {json.dumps(task)}")
    kind, index = task["type"], task["index"]
    if kind not in jobs:
        raise _fault(f"says that this is a task of the type {kind!r}, of which its cluster has none ({', '.join(jobs)})")
    try:
        index = int(index)
    except (TypeError, ValueError):
        raise _fault(f"has the task index {index!r}, which is no number") from None
    if not 0 <= index < len(jobs[kind]):
        raise _fault(f"has the task index {index}, but its cluster has {len(jobs[kind])} of the type {kind!r}, counted from 0")
    chiefs = jobs.get(_CHIEF, [])
    position = index if kind == _CHIEF else len(chiefs) + index
    return Cluster((*chiefs, *jobs.get(_WORKER, [])), position, f"{kind} {index}")


def _fault(what: str) -> ValueError:
    return ValueError(f"{_VARIABLE} {what}. Expected: {_EXAMPLE}. Correct it, or unset it for a training of one process.")
