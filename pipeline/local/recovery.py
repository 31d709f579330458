"""What an interrupted run left behind: its executions are marked failed, and its half-written files go."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.artifacts import CHECKPOINTS_FOLDER, SYSTEM_FOLDER
from pipeline.local.run_folder import ARTIFACTS_FOLDER, PUSHED_FOLDER
from pipeline.publishing import INCOMING_PREFIX

# TFX's own, below the folder of each stage: only while a stage runs are they of use.
_TRANSIENT = ("executor_execution", "driver_execution", "stateful_working_dir")
INTERRUPTED_PROPERTY = "interrupted"


def recover(store: MetadataStore, root: Path) -> list[int]:
    """Clean up after a run that was killed. Nothing of the pipeline may be running.

    Args:
      store: ML Metadata of the root.
      root: of the pipeline.

    Returns:
      The ids of the executions that had not ended.
    """
    interrupted = _fail_running(store)
    for folder in [*_outputs_without_success(store, root), *_transient(root), *_half_pushed(root)]:
        shutil.rmtree(folder, ignore_errors=True)
    return interrupted


def _fail_running(store: MetadataStore) -> list[int]:
    # Not by a filter query, which ML Metadata 1.21 has no more.
    states = (mlmd.Execution.RUNNING, mlmd.Execution.NEW)
    unfinished = [execution for execution in store.get_executions() if execution.last_known_state in states]
    for execution in unfinished:
        execution.last_known_state = mlmd.Execution.FAILED
        execution.custom_properties[INTERRUPTED_PROPERTY].int_value = 1
    if unfinished:
        store.put_executions(unfinished)
    return sorted(execution.id for execution in unfinished)


def _outputs_without_success(store: MetadataStore, root: Path) -> Iterator[Path]:
    """Give the output folders <stage>/<key>/<execution id> of executions that did not succeed, or that nobody knows of."""
    folders = [
        path for path in (root / ARTIFACTS_FOLDER).glob("*/*/*") if path.name.isdigit() and path.parent.name != SYSTEM_FOLDER
    ]
    ids = sorted({int(path.name) for path in folders})
    done = {e.id for e in store.get_executions_by_id(ids) if e.last_known_state == mlmd.Execution.COMPLETE} if ids else set()
    yield from (path for path in folders if int(path.name) not in done)


def _transient(root: Path) -> Iterator[Path]:
    for system in (root / ARTIFACTS_FOLDER).glob(f"*/{SYSTEM_FOLDER}"):
        yield from (system / name for name in _TRANSIENT)


def _half_pushed(root: Path) -> Iterator[Path]:
    yield from (root / PUSHED_FOLDER).glob(f"*/{INCOMING_PREFIX}*")


def forget_checkpoints(artifacts: Path, stage_ids: Collection[str]) -> None:
    """Remove what stages would go on from, for those that are done or are to start from nothing.

    Args:
      artifacts: folder of all stages' artifacts.
      stage_ids: of which.
    """
    for stage_id in stage_ids:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(artifacts / stage_id / SYSTEM_FOLDER / CHECKPOINTS_FOLDER)
