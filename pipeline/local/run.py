"""One local run from config file to exit code."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports
from pipeline.lineage.writing import write_lineage
from pipeline.local.guarding import EXIT_CODES, guarded
from pipeline.local.lock import STAGES_LOCK_FILE, make_root, root_lock
from pipeline.local.output import RedirectedOutput
from pipeline.local.run_folder import (
    ARTIFACTS_FOLDER,
    LOG_FILE,
    SUMMARY_FILE,
    begin,
    empty_summary,
    likely_all_reused,
    make_newest,
    run_folder,
    write_summary,
)
from pipeline.local.scheduling import default_jobs, run_stages
from pipeline.local.selection import select
from pipeline.local.stage_processes import StageProcesses
from pipeline.local.store import back_up, restore_if_damaged
from pipeline.local.summing_up import summed_up

if TYPE_CHECKING:  # imported late at run time: no message should wait for TensorFlow or TFX
    from models.distribution import Kind
    from pipeline.config import PipelineConfig
    from pipeline.local.execution import CompiledPipeline
    from pipeline.local.screen import Screen
    from pipeline.runtime import Engine


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
    first: str | None = None
    last: str | None = None
    strategy: Kind = "auto"
    cpu_devices: int | None = None
    workers: int = 1


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
    return guarded(lambda output: _Run(options, output, own, alone).run(), own.close if processes is None else lambda: None)


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
        root = (self._options.root or Path("runs") / config.name).resolve()
        make_root(root)
        with root_lock(root):
            return self._run_locked(config, root)

    def _run_locked(self, config: PipelineConfig, root: Path) -> int:
        from pipeline.local.advice import explain
        from pipeline.local.screen import Screen

        summary = empty_summary(config, self._started)
        folder = begin(root, summary)
        self._output.log_to(folder / LOG_FILE)
        screen = Screen(None if self._options.json else self._output.screen)
        with summed_up(summary, folder, self._clock):
            self._processes.start(lazy=not self._reruns and likely_all_reused(root, summary))
            self._say(f"{config.name}: config and data description are fine, loading TFX ...")
            if self._alone and self._options.engine == "columnar" and config.data.kind != "bigquery":
                lean_imports.orchestrating()
            self._run_stages(config, root, summary, screen)
        write_summary(root, summary)
        make_newest(root, summary["run_id"])
        write_lineage(root, summary)
        if self._options.json:
            print((folder / SUMMARY_FILE).read_text("utf-8"), file=self._output.screen)
        else:
            screen.close(summary, root, folder)
            explain(summary, folder, screen, f"The same command{' without --fresh or --from' if self._reruns else ''}")
        return EXIT_CODES[summary["status"]]

    @property
    def _reruns(self) -> bool:
        """Whether stages run anew because the user says so."""
        return self._options.fresh or self._options.first is not None

    def _run_stages(self, config: PipelineConfig, root: Path, summary: dict[str, Any], screen: Screen) -> None:
        """Run the stages; say in the summary what became of them.

        Raises:
          ConfigError: there is no such stage as the user named.
        """
        from tfx.orchestration import metadata

        from pipeline.local.recorded import RecordedOutputs
        from pipeline.local.recovery import forget_checkpoints
        from pipeline.local.summary import summarize

        compiled = self._compile(config, root, summary["run_id"])
        selection = select(compiled.needs, self._options.first, self._options.last, self._options.fresh)
        compiled.apply(selection)
        self._recover(compiled, root, summary["run_id"])
        forget_checkpoints(root / ARTIFACTS_FOLDER, selection.anew)
        make_newest(root, summary["run_id"])
        summary["startup_seconds"] = round(time.monotonic() - self._clock, 1)
        results, interrupted = run_stages(compiled, self._options.jobs or default_jobs(), self._processes.stop, screen)
        summary["stages"] = [result.to_dict() for result in results]
        if interrupted:
            summary["status"] = "interrupted"
        with metadata.Metadata(compiled.metadata_config) as handle:
            summary |= summarize(RecordedOutputs(handle.store, results), config, root)
        if not interrupted and not any(result.state == "failed" for result in results):
            passed = all(gate["passed"] for gate in summary["gates"])
            summary["status"] = "succeeded" if passed else "not_blessed"
        try:
            back_up(root)
        except OSError as error:  # the run is over, and lacks nothing
            logging.warning("%s", error)

    def _compile(self, config: PipelineConfig, root: Path, run_id: str) -> CompiledPipeline:
        from models.distribution import Devices
        from pipeline.graph import build_pipeline
        from pipeline.local.execution import CompiledPipeline
        from pipeline.local.runtime import LocalRuntime

        options = self._options
        devices = Devices(cpu_devices=options.cpu_devices)
        graph = build_pipeline(config, LocalRuntime(root, options.strategy, devices, options.workers, options.engine))
        log = run_folder(root, run_id) / LOG_FILE
        return CompiledPipeline(graph, run_id, self._processes, str(log), str(root / STAGES_LOCK_FILE))

    def _recover(self, compiled: CompiledPipeline, root: Path, run_id: str) -> None:
        """Make good what an earlier run, or somebody since, has left broken."""
        from tfx.orchestration import metadata

        from pipeline.local.contents import delete_damaged
        from pipeline.local.recovery import recover

        if restored := restore_if_damaged(root, run_id):
            self._say(restored)
        with metadata.Metadata(compiled.metadata_config) as handle:
            if recover(handle.store, root):
                self._say("The last run was killed. Its finished stages are reused, the interrupted ones start clean.")
            for artifact in delete_damaged(handle.store, root):
                self._say(f"Removed or changed since its stage made it, so not reused: {os.path.relpath(artifact.uri, root)}")

    def _say(self, text: str) -> None:
        if not self._options.json:
            print(text, file=self._output.screen, flush=True)
