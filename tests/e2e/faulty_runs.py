"""Runs that harm is done to, and what may be seen of a root at any time."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline_runs import Finished

FAULTS = Path(__file__).parent / "faults"


def fault(at: str, when: str = "before", what: str = "cut_power", count: int = 1) -> dict[str, Any]:
    """Describe harm: see faults/sitecustomize.py."""
    return {"at": at, "when": when, "what": what, "count": count}


def command(config: Path, root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "runner_local.py", "run", "--config", str(config), "--root", str(root), *arguments]


def environment(repository: Path, harm: dict[str, Any] | None, **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(FAULTS), str(repository)] if harm else [str(repository)])
    return os.environ | {"PYTHONPATH": path} | ({"FAULT": json.dumps(harm)} if harm else {}) | more


def run_harmed(repository: Path, config: Path, root: Path, harm: dict[str, Any], *arguments: str, **more: str) -> Finished:
    """Run `runner_local.py run` and do harm to it. A run that was killed has a negative exit code: the signal.

    Args:
      repository: of the runner.
      config: what is run.
      root: for everything.
      harm: as `fault` describes it.
      *arguments: of the command line.
      **more: of the environment.
    """
    done = subprocess.run(
        command(config, root, *arguments),
        cwd=repository,
        env=environment(repository, harm, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
        # What a shell starts in the background ignores Ctrl-C, and so would what such a test run starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    return Finished.read(done.returncode, done.stdout, root)


def unfinished_executions(root: Path) -> list[str]:
    """Return the states of executions that ML Metadata does not believe to be over."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    from pipeline.local.store import open_store

    over = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED, mlmd.Execution.FAILED, mlmd.Execution.CANCELED)
    states = [execution.last_known_state for execution in open_store(root).get_executions()]
    return [mlmd.Execution.State.Name(state) for state in states if state not in over]


def versions(root: Path, kind: str) -> list[str]:
    """Return the versions that a reader sees."""
    folder = root / "pushed" / kind
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit()) if folder.exists() else []


def assert_every_version_is_whole(root: Path) -> None:
    """Look at the pushed versions as a reader would."""
    for version in versions(root, "saved_model"):
        folder = root / "pushed" / "saved_model" / version
        assert (folder / "saved_model.pb").stat().st_size > 1000
        assert (folder / "variables" / "variables.index").stat().st_size > 0
        assert (folder / "variables" / "variables.data-00000-of-00001").stat().st_size > 1000
    for version in versions(root, "edge"):
        folder = root / "pushed" / "edge" / version
        sums = dict(reversed(line.split(maxsplit=1)) for line in (folder / "SHA256SUMS").read_text().splitlines())
        assert "model.tflite" in sums
        for name, digest in sums.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def leftovers(root: Path) -> list[str]:
    """Return what nothing refers to any more: outputs of failed executions, half-pushed versions, working folders."""
    from pipeline.local.store import open_store

    known = [f"{artifact.uri}/" for artifact in open_store(root).get_artifacts()]
    outputs = [path for path in (root / "artifacts").glob("*/*/*") if path.name.isdigit() and path.parent.name != ".system"]
    # By the end of their paths: the root may be a copy.
    left = [path for path in outputs if not any(f"/{path.relative_to(root)}/" in uri for uri in known)]
    left += [*(root / "pushed").glob("*/.*"), *(root / "artifacts").glob("*/.system/executor_execution/*/.temp")]
    left += list((root / "artifacts").glob("*/.system/checkpoints/*"))
    return sorted(str(path.relative_to(root)) for path in left)


def outcome(finished: Finished) -> dict[str, Any]:
    """Return what a run found out, without times and sizes, and without what it compared its model with.

    That is the latest blessed model: after a run that was killed between blessing and push, the candidate itself.
    """
    summary = finished.summary
    variants = summary["edge"]["variants"] if summary["edge"] else []
    return {
        "status": summary["status"],
        "data": summary["data"],
        "metrics": {who: values for who, values in summary["metrics"].items() if who != "baseline"},
        "slices": summary["slices"],
        "gates": [gate for gate in summary["gates"] if "(vs blessed)" not in gate["name"]],
        "edge": {variant["name"]: variant["metrics"] for variant in variants},
        "pushed": summary["pushed"],
    }
