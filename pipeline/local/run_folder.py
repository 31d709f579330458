"""The folder a run leaves: summary.json, for programs, and the link to the newest run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.json_text import to_json

METADATA_FILE = "metadata.db"  # in the root
SUMMARY_FILE = "summary.json"
LOG_FILE = "log.txt"
LATEST = "latest"


def run_folder(root: Path, run_id: str) -> Path:
    """Return the folder of a run below a root."""
    return root / "runs" / run_id


def write_summary(root: Path, summary: dict[str, Any]) -> None:
    """Write summary.json of a run in one rename and make the run the newest."""
    file = run_folder(root, summary["run_id"]) / SUMMARY_FILE
    scratch = file.with_name(f".{file.name}")
    scratch.write_text(to_json(summary), "utf-8")
    scratch.replace(file)
    link = root / "runs" / LATEST
    scratch = link.with_name(f".{LATEST}")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(summary["run_id"])
    scratch.replace(link)


def pushed_and_gone(root: Path) -> list[str]:
    """Return which of "saved_model" and "edge" the newest run says it pushed and that are not there any more."""
    pushed = _newest_summary(root).get("pushed", {})
    return [kind for kind, path in pushed.items() if path and not (root / path).exists()]


def likely_all_reused(root: Path, summary: dict[str, Any]) -> bool:
    """Tell whether the newest run had the same config and code and trained nothing: most likely there is nothing to do.

    After a run that trained, the Evaluator has a new model to compare with.
    """
    last = _newest_summary(root)
    same = all(last.get(key) == summary[key] for key in ("config_digest", "code_digest", "versions"))
    trained = any(stage["id"] == "Trainer" and stage["state"] != "reused" for stage in last.get("stages", []))
    return same and not trained and last["status"] in ("succeeded", "not_blessed")


def _newest_summary(root: Path) -> dict[str, Any]:
    file = run_folder(root, LATEST) / SUMMARY_FILE
    return json.loads(file.read_text("utf-8")) if file.exists() else {}
