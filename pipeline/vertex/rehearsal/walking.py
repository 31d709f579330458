"""Walks a job as the service would: tasks start as soon as what they need is done, several at a time."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from pipeline.local.causes import cause_of
from pipeline.local.results import State
from pipeline.vertex.rehearsal.artifacts import Artifacts
from pipeline.vertex.rehearsal.commands import INTERRUPTED
from pipeline.vertex.rehearsal.conditions import holds
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.executing import Site, execute, for_condition
from pipeline.vertex.rehearsal.inputs import Scope, inputs_of
from pipeline.vertex.rehearsal.job import Component, Group, Json, PipelineJob, Task
from pipeline.vertex.rehearsal.results import SERVICE_STATES, TaskResult, Watcher, group_outputs
from pipeline.vertex.rehearsal.values import typed

_NOTICE_SECONDS = 0.2
# Of a wait that the service would make before it tries a task again.
_LONGEST_WAIT_SECONDS = 1.0


class Walk:
    """One walk through a job."""

    def __init__(self, job: PipelineJob, site: Site, jobs: int, watcher: Watcher, resource: str):
        """Prepare.

        Args:
          job: has been checked.
          site: where its tasks are executed.
          jobs: how many of them at the same time; the service has no such limit.
          watcher: is told.
          resource: name of the PipelineJob.
        """
        self._job, self._site, self._watcher, self._resource = job, site, watcher, resource
        self._slots = threading.Semaphore(jobs)
        self._telling = threading.Lock()
        self._threads = ThreadPoolExecutor(sum(len(group.tasks) for _, group in job.groups()) + 1, "task")
        self._first_failure: tuple[str, str] | None = None
        self.results: dict[str, TaskResult] = {}
        self.interrupted = False

    def run(self) -> State:
        """Run the tasks; after an interrupt no more is started. Called from the main thread.

        Returns:
          "ran", or "failed" where any task failed.
        """
        values = {
            name: typed(self._job.values.get(name, spec.get("defaultValue")), spec)
            for name, spec in self._job.parameters.items()
            if name in self._job.values or "defaultValue" in spec
        }
        with self._threads:
            state = self._group(self._job.root, values, {}).state
        for task in self._job.leaves():  # of groups that were never begun
            self.results.setdefault(task.name, TaskResult(task.name, "skipped" if state == "ran" else "not_reached"))
        return state

    def _group(self, group: Group, parameters: Mapping[str, Any], artifacts: Artifacts) -> TaskResult:
        done: dict[str, TaskResult] = {}
        running: dict[Future[TaskResult], str] = {}
        while True:
            try:
                self._start_ready(group, Scope(parameters, artifacts), done, running)
                if not running:
                    break
                # Not for ever: an interrupt that comes just before the wait is noticed only after it.
                for future in wait(running, timeout=_NOTICE_SECONDS, return_when=FIRST_COMPLETED).done:
                    done[running.pop(future)] = future.result()
            except KeyboardInterrupt:
                self.interrupted = True
                self._site.commands.stop()
        failed = any(result.state == "failed" for result in done.values())
        given = {name: result.outputs for name, result in done.items()}
        return TaskResult("", "failed" if failed else "ran", outputs=group_outputs(group, given))

    def _start_ready(
        self, group: Group, surroundings: Scope, done: dict[str, TaskResult], running: dict[Future[TaskResult], str]
    ) -> None:
        """Start what can be; settle what will never be."""
        settled = True
        while settled:
            settled = False
            for name, task in sorted(group.tasks.items()):
                if name in done or name in running.values():
                    continue
                if state := self._settled(task, done):
                    done[name] = self._end(TaskResult(name, state), task)
                    settled = True
                elif task.needs <= set(done):
                    scope = Scope(
                        surroundings.parameters,
                        surroundings.artifacts,
                        {each: result.outputs for each, result in done.items()},
                        partial(self._final_status, dict(done)),
                    )
                    running[self._threads.submit(self._one, task, scope)] = name

    def _settled(self, task: Task, done: Mapping[str, TaskResult]) -> State | None:
        """Return what becomes of a task that is not to be run, None of one that is or may be."""
        if self.interrupted:
            return "not_reached"
        if task.always:
            return None
        if self._first_failure and self._job.fails_fast:
            return "not_reached"
        before = {done[name].state for name in task.needs if name in done}
        if before & {"failed", "not_reached"}:
            return "not_reached"
        return "skipped" if "skipped" in before else None

    def _one(self, task: Task, scope: Scope) -> TaskResult:
        component = self._job.components[task.component]
        if component.group:
            return self._inner(task, component, component.group, scope)
        if "container" not in (component.executor or {}):
            return self._end(self._tried(task, component, scope), task)
        with self._slots:
            failed = self._first_failure and self._job.fails_fast and not task.always
            if self.interrupted or failed:
                return self._end(TaskResult(task.name, "not_reached"), task)
            return self._end(self._tried(task, component, scope), task)

    def _inner(self, task: Task, component: Component, group: Group, scope: Scope) -> TaskResult:
        """Walk a group in a group."""
        try:
            inputs = inputs_of(task, component, scope)
            if task.condition and not holds(task.condition, for_condition(inputs)):
                return TaskResult(task.name, "skipped")
        except TaskFailedError as error:
            self._first_failure = self._first_failure or (task.name, str(error))
            return TaskResult(task.name, "failed", error=str(error))
        inner = self._group(group, {**scope.parameters, **inputs.parameters}, inputs.artifacts)
        return TaskResult(task.name, inner.state, outputs=inner.outputs)

    def _tried(self, task: Task, component: Component, scope: Scope) -> TaskResult:
        """Run a task, and again after a failure as often as its policy says."""
        self._tell(self._watcher.started, task.name)
        begin, waited, tries, pause = time.monotonic(), 0.0, 0, task.retries.seconds
        while True:
            tries += 1
            try:
                doing = partial(self._tell, self._watcher.doing, task.name)
                executed = execute(task, component, scope, self._site, doing)
            except Exception as error:  # whatever a task raises is that task's failure
                logging.error("Task %s failed:\n%s", task.name, traceback.format_exc())
                cause = cause_of(error)
            else:
                seconds = time.monotonic() - begin - waited - executed.seconds_waited
                return TaskResult(task.name, executed.state, seconds, None, tries, executed.outputs)
            if tries > task.retries.count or self.interrupted:
                cause = INTERRUPTED if self.interrupted else cause
                return TaskResult(task.name, "failed", time.monotonic() - begin - waited, cause, tries)
            shortened = min(pause, _LONGEST_WAIT_SECONDS)
            self._tell(
                self._watcher.say,
                f"{task.name} failed, and is tried again ({tries} of {task.retries.count}) after {shortened:g} s; the service "
                f"would wait {pause:g} s. {cause}",
            )
            time.sleep(shortened)
            waited += shortened
            pause = min(pause * task.retries.factor, task.retries.most_seconds)

    def _end(self, result: TaskResult, task: Task) -> TaskResult:
        if result.state == "failed" and not self._first_failure:
            self._first_failure = (result.name, result.error or "")
        if not self._job.components[task.component].group:
            self.results[result.name] = result
            self._tell(self._watcher.ended, result)
        return result

    def _tell(self, what: Any, *about: Any) -> None:
        with self._telling:
            what(*about)

    def _final_status(self, done: Mapping[str, TaskResult], task: str) -> Json:
        """Return the PipelineTaskFinalStatus of a task that is done."""
        failure = self._first_failure
        error = {"code": 9, "message": f"The task {failure[0]} failed: {failure[1]}"} if failure else {}
        return {
            "state": SERVICE_STATES[done[task].state],
            "pipelineJobResourceName": self._resource,
            "pipelineTaskName": task,
            "error": error,
        }
