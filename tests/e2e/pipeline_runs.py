"""How tests run a pipeline, and what a run left behind."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # imports TFX
    from pipeline.local.stage_processes import StageProcesses


@dataclass(frozen=True)
class Finished:
    """What a run left behind."""

    code: int
    output: str
    root: Path
    summary: dict[str, Any]

    @classmethod
    def read(cls, code: int, output: str, root: Path) -> Finished:
        """Read the summary of the newest run, now: later runs move `latest`."""
        file = root / "runs" / "latest" / "summary.json"
        return cls(code, output, root, json.loads(file.read_text()) if file.exists() else {})

    @property
    def states(self) -> dict[str, str]:
        return {stage["id"]: stage["state"] for stage in self.summary["stages"]}

    @property
    def seconds(self) -> dict[str, float]:
        return {stage["id"]: stage["seconds"] for stage in self.summary["stages"]}

    def folder(self, stage: str, key: str) -> Path:
        """The newest output of a stage."""
        return max((self.root / "artifacts" / stage / key).iterdir(), key=lambda path: int(path.name))


def run_cli(folder: Path, *arguments: object, root: Path) -> Finished:
    """Run `python runner_local.py run ...` of a checkout, as a user would."""
    command = [sys.executable, "runner_local.py", "run", "--root", root, *arguments]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    return Finished.read(done.returncode, done.stdout, root)


def run_here(
    config: Path,
    root: Path,
    *overrides: str,
    fresh: bool = False,
    as_json: bool = False,
    engine: str = "columnar",
    first: str | None = None,
    last: str | None = None,
    printed: Path | None = None,
    **devices: Any,
) -> Finished:
    """Run in this process, its stages in processes that all such runs share: without the imports a new process pays.

    Args:
      config: what is run.
      root: for everything.
      *overrides: of the config.
      fresh: as --fresh; the others as the options of their names.
      as_json: --json.
      engine: --engine.
      first: --from.
      last: --to.
      printed: the file that takes what the run prints. Default: beside the root.
      **devices: --strategy and what goes with it.
    """
    from pipeline.local.run import RunOptions, run

    printed = printed or root.parent / f"{root.name}.output.txt"
    root.parent.mkdir(parents=True, exist_ok=True)
    printed.write_text("")
    options = RunOptions(config, root, overrides, fresh, as_json, engine, first=first, last=last, **devices)
    with captured_descriptors(printed):
        code = run(options, stage_processes())
    return Finished.read(code, printed.read_text(), root)


@functools.cache
def stage_processes() -> StageProcesses:
    """Return what all runs of this process run their stages in."""
    from pipeline.local.stage_processes import StageProcesses

    processes = StageProcesses()
    atexit.register(processes.close)
    return processes


@contextlib.contextmanager
def captured_descriptors(path: Path) -> Iterator[None]:
    """Send descriptors 1 and 2 to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    with path.open("a") as file:
        for descriptor in saved:
            os.dup2(file.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)


def edge_inputs(package: Path, transformed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrange transformed features {name: (n, width)} as the pushed model takes them, by its metadata."""
    inputs = {}
    for record in json.loads((package / "metadata.json").read_text())["inputs"]:
        parts = [transformed[part["name"]] for part in record["features"]]
        inputs[record["name"]] = np.concatenate(parts, axis=1).astype(record["dtype"])
    return inputs
