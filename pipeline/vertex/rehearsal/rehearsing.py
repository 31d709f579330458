"""One rehearsal, from config and runtime file to exit code."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports
from pipeline.errors import ConfigError
from pipeline.json_text import to_json
from pipeline.local.guarding import EXIT_CODES, guarded
from pipeline.local.lock import STAGES_LOCK_FILE, make_root, root_lock
from pipeline.local.output import RedirectedOutput
from pipeline.local.run_folder import (
    LOG_FILE,
    SUMMARY_FILE,
    begin,
    empty_summary,
    likely_all_reused,
    make_newest,
    write_summary,
)
from pipeline.local.scheduling import default_jobs
from pipeline.local.stage_processes import StageProcesses
from pipeline.local.summing_up import summed_up
from pipeline.vertex.rehearsal.warm import PRELOADED

if TYPE_CHECKING:  # imported late at run time: no message should wait for TFX
    from pipeline.config import PipelineConfig
    from pipeline.local.screen import Screen
    from pipeline.vertex.rehearsal.executing import Site
    from pipeline.vertex.rehearsal.results import TaskResult
    from pipeline.vertex.rehearsal.staging import Staged
    from pipeline.vertex.runtime import VertexRuntime

JOB_FILE, TASKS_FILE = "job.json", "rehearsal.json"


@dataclass(frozen=True)
class RehearsalOptions:
    """What `runner_vertex.py rehearse` was asked for.

    Attributes:
      config: of the experiment.
      runtime: of the cloud.
      root: for everything a rehearsal leaves. Default: runs/<pipeline>-rehearsal.
      overrides: of the config.
      job: a compiled job, instead of compiling one.
      fresh: nothing of earlier rehearsals is reused.
      json: print the summary.
      jobs: how many tasks may run at the same time.
      cold: every command gets an interpreter of its own.
      environment: of all commands.
    """

    config: Path
    runtime: Path
    root: Path | None = None
    overrides: Sequence[str] = ()
    job: Path | None = None
    fresh: bool = False
    json: bool = False
    jobs: int | None = None
    cold: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def rehearse(options: RehearsalOptions, processes: StageProcesses | None = None) -> int:
    """Rehearse a job.

    Args:
      options: what was asked for.
      processes: fork the tasks, and go on when the rehearsal is over; default: some of its own.

    Returns:
      The exit code, as in the README.
    """
    lean_imports.install()
    own = processes or StageProcesses(PRELOADED)
    return guarded(lambda output: _Rehearsal(options, output, own).run(), own.close if processes is None else lambda: None)


class _Rehearsal:
    def __init__(self, options: RehearsalOptions, output: RedirectedOutput, processes: StageProcesses):
        self._options, self._output, self._processes = options, output, processes
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()

    def run(self) -> int:
        """Check, lock, compile, walk, sum up.

        Raises:
          ConfigError: the config, the runtime file or the job is wrong.
          RootLockedError: another process holds the root.
        """
        from pipeline.config import load_config

        config = load_config(self._options.config, self._options.overrides)
        root = (self._options.root or Path("runs") / f"{config.name}-rehearsal").resolve()
        make_root(root)
        with root_lock(root):
            return self._run_locked(config, root)

    def _run_locked(self, config: PipelineConfig, root: Path) -> int:
        from pipeline.local.advice import explain
        from pipeline.local.screen import Screen
        from pipeline.vertex.rehearsal.notes import tell

        summary = empty_summary(config, self._started)
        folder = begin(root, summary)
        self._output.log_to(folder / LOG_FILE)
        screen = Screen(None if self._options.json else self._output.screen)
        notes: dict[str, Any] = {}
        with summed_up(summary, folder, self._clock):
            if not self._options.cold:
                self._processes.start(lazy=not self._options.fresh and likely_all_reused(root, summary))
            screen.say(f"{config.name}: the config is fine, compiling for Vertex AI ...")
            notes = self._walk(config, root, summary, screen)
        (folder / TASKS_FILE).write_text(to_json(notes), "utf-8")
        write_summary(root, summary)
        make_newest(root, summary["run_id"])
        if self._options.json:
            print((folder / SUMMARY_FILE).read_text("utf-8"), file=self._output.screen)
        else:
            screen.close(summary, root, folder)
            tell(notes, screen)
            explain(summary, folder, screen, f"The same command{' without --fresh' if self._options.fresh else ''}")
        return EXIT_CODES[summary["status"]]

    def _walk(self, config: PipelineConfig, root: Path, summary: dict[str, Any], screen: Screen) -> dict[str, Any]:
        """Walk the job; say in the summary what became of it. Returns what else is to be known."""
        lean_imports.orchestrating()  # before anything of TFX is imported
        from pipeline.vertex.rehearsal import staging
        from pipeline.vertex.rehearsal.commands import Commands
        from pipeline.vertex.rehearsal.notes import TASKS_FOLDER, gather_logs, notes_of
        from pipeline.vertex.rehearsal.service_here import service_here

        folder, scratch = root / "runs" / summary["run_id"], root / "scratch"
        warm = None if self._options.cold else self._processes
        commands = Commands(root / STAGES_LOCK_FILE, warm, staging.environment(self._options.environment))
        job, runtime = self._job(config, folder)
        shutil.rmtree(scratch, ignore_errors=True)
        with service_here(job, runtime.location, commands, folder / TASKS_FOLDER, scratch) as endpoint:
            if endpoint and staging.ENDPOINT not in self._options.environment:
                commands.environment[staging.ENDPOINT] = endpoint
            staged = staging.stage(job, root, runtime.packages_folder)
            for text in staged.told:
                screen.say(text, "yellow")
            make_newest(root, summary["run_id"])
            summary["startup_seconds"] = round(time.monotonic() - self._clock, 1)
            site = staging.site(staged, root, folder / TASKS_FOLDER, commands, self._started)
            site = dataclasses.replace(site, scratch=scratch, fresh=self._options.fresh)
            results = self._walk_staged(staged, site, config, summary, screen)
        shutil.rmtree(scratch, ignore_errors=True)
        gather_logs(site.logs, folder / LOG_FILE)
        return notes_of(site, results) | {"otherwise": list(staged.told), "only_checked": staged.only_checked}

    def _walk_staged(
        self, staged: Staged, site: Site, config: PipelineConfig, summary: dict[str, Any], screen: Screen
    ) -> list[TaskResult]:
        """Walk a job that can be; sum up. Returns what became of its tasks, in their order."""
        from pipeline.local.summary import summarize
        from pipeline.vertex.rehearsal import staging
        from pipeline.vertex.rehearsal.stages import OnScreen, TaskOutputs, stage_results
        from pipeline.vertex.rehearsal.walking import Walk

        tasks = [task.name for task in staged.job.leaves()]
        jobs = self._options.jobs or default_jobs()
        walk = Walk(staged.job, site, jobs, OnScreen(screen, tasks), staging.resource(site))
        state = walk.run()
        screen.end()
        summary["stages"] = [result.to_dict() for result in stage_results(tasks, walk.results)]
        summary |= summarize(TaskOutputs(walk.results), config, site.scratch.parent)
        if walk.interrupted:
            summary["status"] = "interrupted"
        elif state != "failed":
            passed = all(gate["passed"] for gate in summary["gates"])
            summary["status"] = "succeeded" if passed else "not_blessed"
        return [walk.results[name] for name in tasks if name in walk.results]

    def _job(self, config: PipelineConfig, folder: Path) -> tuple[dict[str, Any], VertexRuntime]:
        """Return the compiled job, kept in the run's folder, and the runtime that it is for."""
        from pipeline.vertex import compiling
        from pipeline.vertex.runtime import load_runtime

        runtime = load_runtime(self._options.runtime)
        job = _read(self._options.job) if self._options.job else compiling.compile_job(config, runtime)
        compiling.write_job(job, folder / JOB_FILE)
        return job, runtime


def _read(file: Path) -> dict[str, Any]:
    try:
        job = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"--job {file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigError(f"--job {file} is no JSON: {error}.") from None
    if not isinstance(job, dict) or "pipelineSpec" not in job:
        raise ConfigError(f"--job {file} is no PipelineJob: it has no pipelineSpec. Make one with runner_vertex.py compile.")
    return job
