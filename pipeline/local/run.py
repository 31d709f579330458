"""One local run from config file to exit code."""

from __future__ import annotations

import logging
import platform
import secrets
import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports
from pipeline.errors import ConfigError, RootLockedError
from pipeline.lineage.writing import write_lineage
from pipeline.local.lock import root_lock
from pipeline.local.memory import PeakMemory
from pipeline.local.output import RedirectedOutput, redirected_output
from pipeline.local.run_folder import LOG_FILE, SUMMARY_FILE, likely_all_reused, pushed_and_gone, run_folder, write_summary
from pipeline.local.scheduling import default_jobs, run_stages
from pipeline.local.stage_processes import StageProcesses

if TYPE_CHECKING:  # imported late at run time: no message should wait for TensorFlow or TFX
    from pipeline.config import PipelineConfig
    from pipeline.local.screen import Screen
    from pipeline.runtime import Engine

SCHEMA_VERSION = 1
_PUSHERS = {"saved_model": "Pusher", "edge": "EdgePusher"}
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_BLESSED, EXIT_LOCKED, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_CODES = {
    "succeeded": EXIT_OK,
    "failed": EXIT_FAILED,
    "not_blessed": EXIT_NOT_BLESSED,
    "interrupted": EXIT_INTERRUPTED,
}


@dataclass(frozen=True)
class RunOptions:
    """What `runner_local.py run` was asked for."""

    config: Path
    root: Path | None = None
    overrides: Sequence[str] = ()
    fresh: bool = False
    json: bool = False
    engine: Engine = "columnar"
    jobs: int | None = None


def run(options: RunOptions, processes: StageProcesses | None = None, alone: bool = False) -> int:
    """Run the pipeline of a config file.

    Args:
      options: what was asked for.
      processes: run the stages, and go on when the run is over; default: some of its own.
      alone: this process does nothing else, so that it need not import what the stages' processes do.

    Returns:
      The exit code, as in the README.
    """
    lean_imports.install()
    own = processes or StageProcesses()
    with redirected_output() as output:
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            return _Run(options, output, own, alone).run()
        except ConfigError as error:
            print(error, file=output.errors)
            return EXIT_USAGE
        except RootLockedError as error:
            print(error, file=output.errors)
            return EXIT_LOCKED
        except KeyboardInterrupt:
            print("Interrupted before anything ran.", file=output.errors)
            return EXIT_INTERRUPTED
        finally:
            if processes is None:
                own.close()
            signal.signal(signal.SIGTERM, previous)


def _interrupt(*_: object) -> None:
    # Not by way of SIGINT, which a background process of a shell script ignores.
    raise KeyboardInterrupt


class _Run:
    def __init__(self, options: RunOptions, output: RedirectedOutput, processes: StageProcesses, alone: bool):
        self._options, self._output, self._processes, self._alone = options, output, processes, alone
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()

    def run(self) -> int:
        """Check, lock, build, run, sum up.

        Raises:
          ConfigError: the config or its description of the data is wrong.
          RootLockedError: another run holds the root.
        """
        from pipeline.config import load_config
        from pipeline.local.preflight import check_data

        config = load_config(self._options.config, self._options.overrides)
        check_data(config)
        root = (self._options.root or Path("runs") / config.name).absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / ".lock").touch()
        except OSError as error:
            raise ConfigError(f"--root {root} cannot be written: {error.strerror}.") from error
        with root_lock(root):
            return self._run_locked(config, root)

    def _run_locked(self, config: PipelineConfig, root: Path) -> int:
        from pipeline.local.screen import Screen

        summary = self._skeleton(config)
        folder = run_folder(root, summary["run_id"])
        folder.mkdir(parents=True)
        self._output.log_to(folder / LOG_FILE)
        memory, screen = PeakMemory(), Screen(None if self._options.json else self._output.screen)
        try:
            self._processes.start(lazy=not self._options.fresh and likely_all_reused(root, summary))
            self._say(f"{config.name}: config and data description are fine, loading TFX ...")
            if self._alone and self._options.engine == "columnar" and config.data.kind != "bigquery":
                lean_imports.orchestrating()
            summary |= self._run_stages(config, root, summary["run_id"], screen)
        except KeyboardInterrupt:
            summary["status"] = "interrupted"
        except Exception as error:  # outside of any stage: still a summary and a sentence, no traceback
            logging.error("The run failed outside of its stages:\n%s", traceback.format_exc())
            summary |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        summary["seconds"] = round(time.monotonic() - self._clock, 1)
        summary["peak_rss_mb"] = memory.stop()
        write_summary(root, summary)
        write_lineage(root, summary)
        if self._options.json:
            print((folder / SUMMARY_FILE).read_text("utf-8"), file=self._output.screen)
        else:
            screen.close(summary, root, folder)
            _explain(summary, folder, screen)
        return EXIT_CODES[summary["status"]]

    def _skeleton(self, config: PipelineConfig) -> dict[str, Any]:
        """Return a summary of a run that has done nothing yet."""
        from pipeline.code_digest import project_digest

        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": f"{self._started:%Y-%m-%dT%H-%M-%SZ}-{secrets.token_hex(2)}",
            "pipeline": config.name,
            "status": "failed",
            "started": f"{self._started:%Y-%m-%dT%H:%M:%SZ}",
            "seconds": 0.0,
            "startup_seconds": 0.0,
            "peak_rss_mb": 0,
            "versions": {"python": platform.python_version(), "tfx": version("tfx"), "tensorflow": version("tensorflow")},
            "config_digest": config.digest,
            "code_digest": project_digest(),
            "stages": [],
            "data": {"examples": {}, "quarantined": 0, "anomalies": []},
            "metrics": {},
            "slices": [],
            "gates": [],
            "edge": None,
            "pushed": {"saved_model": None, "edge": None},
        }

    def _run_stages(self, config: PipelineConfig, root: Path, run_id: str, screen: Screen) -> dict[str, Any]:
        """Run the stages; return what they change in the summary."""
        from tfx.orchestration import metadata

        from pipeline.graph import build_pipeline
        from pipeline.local.execution import CompiledPipeline
        from pipeline.local.runtime import LocalRuntime
        from pipeline.local.summary import Outputs, summarize

        graph = build_pipeline(config, LocalRuntime(root, use_cache=not self._options.fresh, engine=self._options.engine))
        # TFX would reuse a push that somebody has removed since.
        anew = [_PUSHERS[kind] for kind in pushed_and_gone(root)]
        log = str(run_folder(root, run_id) / LOG_FILE)
        compiled = CompiledPipeline(graph, run_id, self._processes, log, run_anew=anew)
        startup_seconds = round(time.monotonic() - self._clock, 1)
        results, interrupted = run_stages(compiled, self._options.jobs or default_jobs(), self._processes.stop, screen)
        with metadata.Metadata(compiled.metadata_config) as handle:
            parts = summarize(Outputs(handle.store, results), config, root)
        status = "succeeded" if all(gate["passed"] for gate in parts["gates"]) else "not_blessed"
        if interrupted:
            status = "interrupted"
        elif any(result.state == "failed" for result in results):
            status = "failed"
        stages = [result.to_dict() for result in results]
        return {"status": status, "startup_seconds": startup_seconds, "stages": stages, **parts}

    def _say(self, text: str) -> None:
        if not self._options.json:
            print(text, file=self._output.screen, flush=True)


def _explain(summary: dict[str, Any], folder: Path, screen: Any) -> None:
    """Say what went wrong, last on the screen, where eyes are."""
    if "error" in summary:
        screen.say(f"The run failed outside of its stages: {summary['error']}\nLog: {folder / LOG_FILE}", "red")
    for stage in summary["stages"]:
        if stage["state"] == "failed" and summary["status"] != "interrupted":
            screen.say(f"Stage {stage['id']} failed: {stage['error']}\nLog: {folder / LOG_FILE}", "red")
    if summary["status"] == "not_blessed":
        for gate in summary["gates"]:
            if not gate["passed"]:
                where = f" in slice {gate['slice']}" if gate["slice"] else ""
                screen.say(f"Gate not passed: {gate['name']}{where} is {gate['value']}, bound {gate['bound']}.", "red")
        screen.say("What these gates guard was not pushed.", "red")
    if summary["status"] == "interrupted":
        screen.say("Interrupted. The same command continues: finished stages are reused.", "yellow")
