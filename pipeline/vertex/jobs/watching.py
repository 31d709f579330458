"""A pipeline job as people watch it: a line for each stage, and in the end why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import exit_codes
from pipeline.vertex.jobs.names import log_link

if TYPE_CHECKING:
    from pipeline.local.screen import Screen
    from pipeline.vertex.jobs.api import JobsApi

_UNDER_WAY = ("PENDING", "RUNNING", "QUEUED", "CANCELLING", "PAUSED", "UNSPECIFIED")
_STATES = {"SUCCEEDED": "ran", "SKIPPED": "reused", "FAILED": "failed", "CANCELLED": "failed", "NOT_TRIGGERED": "not_reached"}
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 2.0, 30.0
# Of the artifacts by which stages say whether a model is good enough: 1 if it is.
_BLESSED = "blessed"


@dataclass(frozen=True)
class TaskState:
    """A task of a job.

    Attributes:
      id: its name.
      state: "ran", "reused", "failed", "not_reached", "running" or "waiting".
      seconds: that it took.
      error: why it failed.
      log: where its log is to be read.
    """

    id: str
    state: str
    seconds: float = 0.0
    error: str | None = None
    log: str | None = None


def tasks_of(job: Any) -> list[TaskState]:
    """Return the tasks of a job, without the groups that they are in."""
    project = job.name.split("/")[1]
    return [_task(detail, project) for detail in job.job_detail.task_details if detail.task_name not in _groups(job)]


def is_over(job: Any) -> bool:
    """Tell whether nothing more will happen."""
    return _state(job) not in _UNDER_WAY


def watch(api: JobsApi, job: Any, screen: Screen) -> Any:
    """Show the stages of a job until it is over; return it as it is then."""
    screen.begin(_expected(job))
    running: set[str] = set()
    ended: set[str] = set()
    pause = _FIRST_PAUSE_SECONDS
    while True:
        for task in tasks_of(job):
            if task.state == "running" and task.id not in running:
                running.add(task.id)
                screen.start_stage(task.id)
            elif task.state in _STATES.values() and task.id not in ended:
                ended.add(task.id)
                screen.end_stage(task)  # type: ignore[arg-type]  # has what is shown of a StageResult
        if is_over(job):
            screen.end()
            return job
        time.sleep(pause)
        pause = min(1.3 * pause, _LONGEST_PAUSE_SECONDS)
        job = api.job(job.name)


def verdict(job: Any, state: str | None = None) -> tuple[int, list[str]]:
    """Return the exit code of a job that is over, and what to say about it.

    Args:
      job: as the API has it.
      state: "SUCCEEDED", "FAILED" or "CANCELLED", of a job whose exit handler still runs; default: what the job says.
    """
    state = state or _state(job)
    if state == "CANCELLED":
        return exit_codes.INTERRUPTED, ["The job was cancelled."]
    if state != "SUCCEEDED":
        lines = [f"Stage {task.id} failed: {task.error}\nLog: {task.log}" for task in tasks_of(job) if task.state == "failed"]
        return exit_codes.FAILED, lines or [f"The job failed: {job.error.message or 'Vertex AI does not say why'}"]
    refused = [name for name, blessed in _blessings(job) if not blessed]
    if refused:
        said = [
            f"Stage {name} has not blessed the model: a gate was not passed. What it guards was not pushed." for name in refused
        ]
        return exit_codes.NOT_BLESSED, said
    return exit_codes.OK, []


def describe(job: Any, say: Callable[[str], None]) -> None:
    """Say how a job stands, in lines."""
    say(f"{job.name.rpartition('/')[2]}: {_state(job).lower()}")
    for task in tasks_of(job):
        say(f"  {task.id:28} {task.state:12} {task.seconds:8.1f} s")


def _blessings(job: Any) -> Iterator[tuple[str, bool]]:
    for detail in job.job_detail.task_details:
        for artifacts in detail.outputs.values():
            for artifact in artifacts.artifacts:
                if artifact.metadata and _BLESSED in artifact.metadata:
                    yield detail.task_name, bool(artifact.metadata[_BLESSED])


def _task(detail: Any, project: str) -> TaskState:
    state = detail.state.name
    shown = _STATES.get(state, "running" if state in ("RUNNING", "CANCELLING", "CANCEL_PENDING") else "waiting")
    seconds = (detail.end_time - detail.start_time).total_seconds() if detail.end_time and detail.start_time else 0.0
    error = (detail.error.message if detail.error else "") or None
    if shown == "failed" and not error:
        error = "cancelled" if state == "CANCELLED" else "Vertex AI does not say why; its log may"
    ran_as = detail.executor_detail.container_detail.main_job
    return TaskState(detail.task_name, shown, seconds, error, log_link(ran_as, project) if ran_as else None)


def _expected(job: Any) -> list[str]:
    """Return the tasks of a job's specification, those in groups too."""
    spec = job.pipeline_spec
    groups = {name: part["dag"] for name, part in dict(spec.get("components", {})).items() if "dag" in part}
    names: list[str] = []
    for dag in [spec["root"]["dag"], *groups.values()] if "root" in spec else []:
        names += [name for name in dag["tasks"] if name not in groups]
    return names


def _groups(job: Any) -> set[str]:
    """Return tasks that stand for others, and for the whole."""
    components = dict(job.pipeline_spec.get("components", {})) if job.pipeline_spec else {}
    return {name for name, part in components.items() if "dag" in part} | {job.name.rpartition("/")[2]}


def _state(job: Any) -> str:
    return job.state.name.removeprefix("PIPELINE_STATE_")
