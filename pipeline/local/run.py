"""One local run from config file to exit code."""

from __future__ import annotations

import importlib
import json
import platform
import resource
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, RootLockedError
from pipeline.local.lock import root_lock
from pipeline.local.output import RedirectedOutput, redirected_output

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


def run(options: RunOptions) -> int:
    """Run the pipeline of a config file.

    Returns:
      The exit code, as in the README.
    """
    with redirected_output() as output:
        previous = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            return _Run(options, output).run()
        except ConfigError as error:
            print(error, file=output.screen)
            return EXIT_USAGE
        except RootLockedError as error:
            print(error, file=output.screen)
            return EXIT_LOCKED
        except KeyboardInterrupt:
            print("interrupted before the first stage", file=output.screen)
            return EXIT_INTERRUPTED
        finally:
            signal.signal(signal.SIGTERM, previous)


class _Run:
    def __init__(self, options: RunOptions, output: RedirectedOutput):
        self._options, self._output = options, output
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()

    def run(self) -> int:
        """Check, lock, build, run, sum up.

        Raises:
          ConfigError: the config or its description of the data is wrong.
          RootLockedError: another run holds the root.
        """
        # Imported late and through importlib: usage errors should not wait for TensorFlow, nor messages for TFX.
        config = importlib.import_module("pipeline.config").load_config(self._options.config, self._options.overrides)
        importlib.import_module("pipeline.local.preflight").check_data(config)
        root = (self._options.root or Path("runs") / config.name).absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            with root_lock(root):
                return self._run_locked(config, root)
        except PermissionError as error:
            raise ConfigError(f"--root {root} cannot be written: {error.strerror}.") from error

    def _run_locked(self, config: Any, root: Path) -> int:
        run_id = f"{self._started:%Y-%m-%dT%H-%M-%SZ}-{secrets.token_hex(2)}"
        folder = root / "runs" / run_id
        folder.mkdir(parents=True)
        self._output.log_to(folder / "log.txt")
        if not self._options.json:
            print(
                f"{config.name}: config and data description are fine, loading TFX ...",
                file=self._output.screen,
                flush=True,
            )

        execution = importlib.import_module("pipeline.local.execution")
        graph = importlib.import_module("pipeline.graph")
        runtime = importlib.import_module("pipeline.local.runtime").LocalRuntime(root, use_cache=not self._options.fresh)
        stream = self._output.screen if not self._options.json else None
        screen = importlib.import_module("pipeline.local.screen").Screen(stream)
        compiled = execution.CompiledPipeline(graph.build_pipeline(config, runtime), run_id)
        startup_seconds = time.monotonic() - self._clock

        results: list[Any] = []
        running: list[str] = []

        def on_start(stage_id: str) -> None:
            running.append(stage_id)
            screen.start_stage(stage_id)

        def on_end(result: Any) -> None:
            results.append(result)
            screen.end_stage(result)

        status = "interrupted"
        screen.begin(compiled.stage_ids)
        try:
            execution.run_stages(compiled, on_start, on_end)
            status = "failed" if any(r.state == "failed" for r in results) else "succeeded"
        except KeyboardInterrupt:
            results.append(execution.StageResult(running[-1], "failed", error="interrupted"))
        finally:
            screen.end()
        reached = {r.id for r in results}
        results += [execution.StageResult(s, "not_reached") for s in compiled.stage_ids if s not in reached]

        summary = self._summary(config, run_id, status, results, compiled, root) | {
            "startup_seconds": round(startup_seconds, 1)
        }
        if status == "succeeded" and not all(gate["passed"] for gate in summary["gates"]):
            summary["status"] = "not_blessed"
        summary["seconds"] = round(time.monotonic() - self._clock, 1)
        _write_atomically(folder / "summary.json", json.dumps(summary, indent=1))
        _point_latest(root / "runs" / "latest", run_id)
        if self._options.json:
            print(json.dumps(summary, indent=1), file=self._output.screen)
        else:
            screen.close(summary, root, folder)
            _explain(summary, folder, screen)
        return EXIT_CODES[summary["status"]]

    def _summary(
        self, config: Any, run_id: str, status: str, results: Sequence[Any], compiled: Any, root: Path
    ) -> dict[str, Any]:
        summary = importlib.import_module("pipeline.local.summary")
        metadata = importlib.import_module("tfx.orchestration.metadata")
        code_digest = importlib.import_module("pipeline.code_digest")
        with metadata.Metadata(compiled.metadata_config) as handle:
            from_stages = summary.summarize(summary.Outputs(handle.store, results), config, root)
        return {
            "schema_version": summary.SCHEMA_VERSION,
            "run_id": run_id,
            "pipeline": config.name,
            "status": status,
            "started": f"{self._started:%Y-%m-%dT%H:%M:%SZ}",
            "seconds": 0.0,
            "startup_seconds": 0.0,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("tfx", "tensorflow")},
            },
            "config_digest": config.digest,
            "code_digest": code_digest.project_digest(),
            "stages": [result.to_dict() for result in results],
            **from_stages,
        }


def _explain(summary: dict[str, Any], folder: Path, screen: Any) -> None:
    """Say what went wrong, last on the screen, where eyes are."""
    for stage in summary["stages"]:
        if stage["state"] == "failed":
            screen.say(f"Stage {stage['id']} failed: {stage['error']}\nLog: {folder / 'log.txt'}", "red")
    if summary["status"] == "not_blessed":
        for gate in summary["gates"]:
            if not gate["passed"]:
                where = f" in slice {gate['slice']}" if gate["slice"] else ""
                screen.say(f"Gate not passed: {gate['name']}{where} is {gate['value']}, bound {gate['bound']}.", "red")
        screen.say("What these gates guard was not pushed.", "red")
    if summary["status"] == "interrupted":
        screen.say("Interrupted. The same command continues: finished stages are reused.", "yellow")


def _write_atomically(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(text, "utf-8")
    scratch.replace(path)


def _point_latest(link: Path, run_id: str) -> None:
    scratch = link.with_name(".latest")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(run_id)
    scratch.replace(link)


def main(options: RunOptions) -> None:
    """Run and leave with the exit code."""
    sys.exit(run(options))
