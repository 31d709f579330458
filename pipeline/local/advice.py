"""What a user can do about a run that did not end well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.local.run_folder import LOG_FILE

if TYPE_CHECKING:
    from pipeline.local.screen import Screen

_RESUME = "the same command goes on where this run ended."
# What a cause holds, and what to try: the first that fits.
_ADVICE: Mapping[str, str] = {
    r"for want of memory|MemoryError|ResourceExhausted|OOM": f"Use --jobs 1 or a smaller fit.batch_size; {_RESUME}",
    r"could not be resolved": "Run with --fresh, which reuses nothing of what earlier runs left.",
    r"[Aa]nomal": "Repair the data, or change the schema if the data is right.",
    r"DataLossError|[Cc]orrupted record|truncated record": "A file was damaged while it was read. Run again: it is made anew.",
    r"same command continues|--from|Lower `|Look for|Run again": "",  # says itself what to do
}


def advice_for(cause: str) -> str:
    """Return what to try after a stage failed with a cause; empty where the cause says so itself."""
    for sign, text in _ADVICE.items():
        if re.search(sign, cause):
            return text
    return f"Remove the cause; {_RESUME}"


def explain(summary: Mapping[str, Any], folder: Path, screen: Screen, continued_by: str) -> None:
    """Say what went wrong, last on the screen, where eyes are.

    Args:
      summary: of the run.
      folder: of the run.
      screen: to say it on.
      continued_by: which command goes on after an interrupt.
    """
    # Where a stage failed, that comes first, and the rest may well come of it: a full disk takes no copy of the database.
    if "error" in summary and not any(stage["state"] == "failed" for stage in summary["stages"]):
        screen.say(f"The run failed outside of its stages: {summary['error']}\nLog: {folder / LOG_FILE}", "red")
    for stage in summary["stages"]:
        if stage["state"] == "failed" and summary["status"] != "interrupted":
            screen.say(f"Stage {stage['id']} failed: {stage['error']}\nLog: {folder / LOG_FILE}", "red")
            if advice := advice_for(stage["error"] or ""):
                screen.say(f"What to do: {advice}", "yellow")
    if summary["status"] == "not_blessed":
        for gate in summary["gates"]:
            if not gate["passed"]:
                where = f" in slice {gate['slice']}" if gate["slice"] else ""
                screen.say(f"Gate not passed: {gate['name']}{where} is {gate['value']}, bound {gate['bound']}.", "red")
        screen.say("What these gates guard was not pushed.", "red")
    if summary["status"] == "interrupted":
        screen.say(f"Interrupted. {continued_by} continues: finished stages are reused.", "yellow")
