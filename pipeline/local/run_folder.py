"""The folder a run leaves: summary.json, for programs, and the link to the newest run."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.json_text import to_json, write_durably

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig

SCHEMA_VERSION = 1

# In the root.
METADATA_FILE, ARTIFACTS_FOLDER, PUSHED_FOLDER = "metadata.db", "artifacts", "pushed"
SUMMARY_FILE = "summary.json"
LOG_FILE = "log.txt"
LATEST = "latest"
_RESERVE_FILE, _RESERVED_BYTES = ".reserve", 1 << 20


def run_folder(root: Path, run_id: str) -> Path:
    """Return the folder of a run below a root."""
    return root / "runs" / run_id


def empty_summary(config: PipelineConfig, started: datetime) -> dict[str, Any]:
    """Return the summary of a run that has done nothing yet."""
    from pipeline.code_digest import project_digest

    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": f"{started:%Y-%m-%dT%H-%M-%SZ}-{secrets.token_hex(2)}",
        "pipeline": config.name,
        "status": "failed",
        "started": f"{started:%Y-%m-%dT%H:%M:%SZ}",
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
        "tuning": None,
        "pushed": {"saved_model": None, "edge": None},
    }


def begin(root: Path, summary: dict[str, Any]) -> Path:
    """Make the folder of a run, with what is to be read there if the run is killed.

    Raises:
      ConfigError: it cannot be written.
    """
    folder = run_folder(root, summary["run_id"])
    try:
        folder.mkdir(parents=True)
        reserve(folder)
        write_summary(root, summary | {"status": "interrupted"})
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ConfigError(f"--root {root} cannot be written: {error.strerror}.") from error
    return folder


def reserve(folder: Path) -> None:
    """Take the space that the summary of a run will need, while there is some.

    Raises:
      OSError: there is none.
    """
    with (folder / _RESERVE_FILE).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _RESERVED_BYTES)


def release(folder: Path) -> None:
    """Give the space back that `reserve` took."""
    (folder / _RESERVE_FILE).unlink(missing_ok=True)


def write_summary(root: Path, summary: dict[str, Any]) -> None:
    """Write summary.json of a run in one rename."""
    write_durably(run_folder(root, summary["run_id"]) / SUMMARY_FILE, to_json(summary))


def make_newest(root: Path, run_id: str) -> None:
    """Have `latest` mean a run."""
    link = root / "runs" / LATEST
    if link.is_dir() and not link.is_symlink():  # in a root that was copied with what its links point to
        shutil.rmtree(link)
    scratch = link.with_name(f".{LATEST}")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(run_id)
    scratch.replace(link)


def likely_all_reused(root: Path, summary: dict[str, Any]) -> bool:
    """Tell whether the newest run had the same config and code and trained nothing: most likely there is nothing to do.

    After a run that trained, the Evaluator has a new model to compare with.
    """
    last = _newest_summary(root)
    same = all(last.get(key) == summary[key] for key in ("config_digest", "code_digest", "versions"))
    trained = any(stage["id"] == "Trainer" and stage["state"] != "reused" for stage in last.get("stages", []))
    return same and not trained and last["status"] in ("succeeded", "not_blessed")


def _newest_summary(root: Path) -> dict[str, Any]:
    return read_summary(run_folder(root, LATEST) / SUMMARY_FILE)


def read_summary(file: Path) -> dict[str, Any]:
    """Return what a summary.json says, nothing where there is none that can be read."""
    try:
        summary = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}
