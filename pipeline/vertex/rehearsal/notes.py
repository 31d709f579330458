"""What a rehearsal leaves beside the summary: notes of every task in the service's words, and what the tasks said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.local.screen import Screen
from pipeline.vertex.rehearsal import staging
from pipeline.vertex.rehearsal.executing import Site
from pipeline.vertex.rehearsal.results import SERVICE_STATES, TaskResult

TASKS_FOLDER = "tasks"


def notes_of(site: Site, results: Sequence[TaskResult]) -> dict[str, Any]:
    """Return what became of every task, in the service's words."""
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


def gather_logs(folder: Path, log: Path) -> None:
    """Add what the tasks said to the log of the run, task by task."""
    with log.open("a", encoding="utf-8") as stream:
        for file in sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime):
            stream.write(f"==== {file.stem}\n{file.read_text('utf-8', 'replace')}\n")


def tell(notes: Mapping[str, Any], screen: Screen) -> None:
    """Print what was only checked, and where the logs of failed tasks are."""
    if only := notes.get("only_checked"):
        screen.say("Checked, not rehearsed: " + "; ".join(f"{what} {value}" for what, value in only.items()) + ".", "dim")
    for task in notes.get("tasks", []):
        if task["state"] == "FAILED" and task["log"]:
            screen.say(f"Its own log: {task['log']} beside the summary ({task['name']}).", "red")
