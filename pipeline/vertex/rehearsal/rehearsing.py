"""One rehearsal, from config and runtime file to exit code."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports
from pipeline.errors import ConfigError
from pipeline.json_text import to_json
from pipeline.local.causes import cause_of
from pipeline.local.guarding import EXIT_CODES, guarded, ignore_interrupts
from pipeline.local.lock import STAGES_LOCK_FILE, make_root, root_lock
from pipeline.local.memory import PeakMemory
from pipeline.local.output import RedirectedOutput
from pipeline.local.run_folder import (
    LOG_FILE,
    SUMMARY_FILE,
    begin,
    empty_summary,
    likely_all_reused,
    make_newest,
    release,
    write_summary,
)
from pipeline.local.scheduling import default_jobs
from pipeline.local.stage_processes import StageProcesses
from pipeline.vertex.rehearsal.warm import PRELOADED

if TYPE_CHECKING:  # imported late at run time: no message should wait for TFX
    from pipeline.config import PipelineConfig
    from pipeline.local.screen import Screen
    from pipeline.vertex.rehearsal.executing import Site
    from pipeline.vertex.rehearsal.results import TaskResult

JOB_FILE, TASKS_FILE, TASKS_FOLDER = "job.json", "rehearsal.json", "tasks"


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

        summary = empty_summary(config, self._started)
        folder = begin(root, summary)
        self._output.log_to(folder / LOG_FILE)
        memory, screen = PeakMemory(), Screen(None if self._options.json else self._output.screen)
        notes: dict[str, Any] = {}
        try:
            if not self._options.cold:
                self._processes.start(lazy=not self._options.fresh and likely_all_reused(root, summary))
            screen.say(f"{config.name}: the config is fine, compiling for Vertex AI ...")
            notes = self._walk(config, root, summary, screen)
        except KeyboardInterrupt:
            summary["status"] = "interrupted"
        except ConfigError:
            memory.stop()
            shutil.rmtree(folder)
            raise
        except Exception as error:  # outside of any task: still a summary and a sentence, no traceback
            logging.error("The rehearsal failed outside of its tasks:\n%s", traceback.format_exc())
            summary |= {"status": "failed", "error": cause_of(error)}
        ignore_interrupts()
        summary["seconds"] = round(time.monotonic() - self._clock, 1)
        summary["peak_rss_mb"] = memory.stop()
        release(folder)
        (folder / TASKS_FILE).write_text(to_json(notes), "utf-8")
        write_summary(root, summary)
        make_newest(root, summary["run_id"])
        if self._options.json:
            print((folder / SUMMARY_FILE).read_text("utf-8"), file=self._output.screen)
        else:
            screen.close(summary, root, folder)
            _tell(notes, screen)
            explain(summary, folder, screen, f"The same command{' without --fresh' if self._options.fresh else ''}")
        return EXIT_CODES[summary["status"]]

    def _walk(self, config: PipelineConfig, root: Path, summary: dict[str, Any], screen: Screen) -> dict[str, Any]:
        """Walk the job; say in the summary what became of it. Returns what else is to be known."""
        lean_imports.orchestrating()  # before anything of TFX is imported
        from pipeline.local.summary import summarize
        from pipeline.vertex.rehearsal import staging
        from pipeline.vertex.rehearsal.commands import Commands
        from pipeline.vertex.rehearsal.stages import OnScreen, TaskOutputs, stage_results
        from pipeline.vertex.rehearsal.walking import Walk

        folder = root / "runs" / summary["run_id"]
        warm = None if self._options.cold else self._processes
        environment = staging.environment(self._options.environment)
        commands = Commands(root / STAGES_LOCK_FILE, warm, environment)
        job, site_packages = self._job(config, folder)
        scratch = root / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        staged = staging.stage(job, root, site_packages, bool(self._options.environment.get(staging.ENDPOINT)))
        for text in staged.told:
            screen.say(text, "yellow")
        make_newest(root, summary["run_id"])
        summary["startup_seconds"] = round(time.monotonic() - self._clock, 1)
        site = staging.site(staged, root, folder / TASKS_FOLDER, commands, self._started)
        site = dataclasses.replace(site, scratch=scratch, fresh=self._options.fresh)
        tasks = [task.name for task in staged.job.leaves()]
        walk = Walk(staged.job, site, self._options.jobs or default_jobs(), OnScreen(screen, tasks), staging.resource(site))
        state = walk.run()
        screen.end()
        shutil.rmtree(scratch, ignore_errors=True)
        _gather_logs(site.logs, folder / LOG_FILE)
        summary["stages"] = [result.to_dict() for result in stage_results(tasks, walk.results)]
        summary |= summarize(TaskOutputs(walk.results), config, root)
        if walk.interrupted:
            summary["status"] = "interrupted"
        elif state != "failed":
            passed = all(gate["passed"] for gate in summary["gates"])
            summary["status"] = "succeeded" if passed else "not_blessed"
        results = [walk.results[name] for name in tasks if name in walk.results]
        return _notes(site, results) | {"otherwise": list(staged.told), "only_checked": staged.only_checked}

    def _job(self, config: PipelineConfig, folder: Path) -> tuple[dict[str, Any], str]:
        """Return the compiled job, kept in the run's folder, and where its image has its packages."""
        from pipeline.vertex import compiling
        from pipeline.vertex.runtime import load_runtime

        runtime = load_runtime(self._options.runtime)
        job = _read(self._options.job) if self._options.job else compiling.compile_job(config, runtime)
        compiling.write_job(job, folder / JOB_FILE)
        return job, runtime.site_packages


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


def _notes(site: Site, results: Sequence[TaskResult]) -> dict[str, Any]:
    """Return what became of every task, in the service's words."""
    from pipeline.vertex.rehearsal import staging
    from pipeline.vertex.rehearsal.results import SERVICE_STATES

    tasks = [
        {
            "name": result.name,
            "state": SERVICE_STATES[result.state],
            "tries": result.tries,
            "error": result.error,
            "outputs": {key: [one.uri for one in each] for key, each in result.outputs.artifacts.items()},
            "log": f"{TASKS_FOLDER}/{result.name}.txt" if site.log_of(result.name).exists() else None,
        }
        for result in results
    ]
    return {"job": staging.resource(site), "tasks": tasks}


def _gather_logs(folder: Path, log: Path) -> None:
    """Add what the tasks said to the log of the run, task by task."""
    with log.open("a", encoding="utf-8") as stream:
        for file in sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime):
            stream.write(f"==== {file.stem}\n{file.read_text('utf-8', 'replace')}\n")


def _tell(notes: Mapping[str, Any], screen: Screen) -> None:
    if only := notes.get("only_checked"):
        screen.say("Checked, not rehearsed: " + "; ".join(f"{what} {value}" for what, value in only.items()) + ".", "dim")
    for task in notes.get("tasks", []):
        if task["state"] == "FAILED" and task["log"]:
            screen.say(f"Its own log: {task['log']} beside the summary ({task['name']}).", "red")
