"""What was learnt by a search, as files: for people a page, for programs JSON and tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from models.tuning.report.findings import finite, learnt_summary
from models.tuning.report.importance import importances
from models.tuning.space import Space, label
from models.tuning.trials import Learnt

# What the files are called, beside the page.
EVERYTHING, TRIALS, EPOCHS, PAGE = "tuning.json", "trials.csv", "epochs.csv", "report.html"


def write_report(learnt: Learnt, space: Space, write: Callable[[str, str], None]) -> dict[str, Any]:
    """Write what was learnt: everything as JSON, the trials and their epochs as tables, and a page.

    Args:
      learnt: by the search.
      space: that was searched.
      write: takes a file's name and its text.

    Returns:
      The summary, as JSON can say it: algorithm, objective, improved, values, best, config, gain, trials by state, importances,
      best so far.
    """
    from models.tuning.report.page import page  # it needs a charting library

    mattered = importances(learnt.trials, space)
    summary = learnt_summary(learnt, mattered)
    parameters = {name: parameter.model_dump(mode="json") for name, parameter in space.items()}
    everything = {"summary": summary, "space": parameters, "learnt": finite(learnt.to_dict())}
    write(EVERYTHING, json.dumps(everything, indent=1, allow_nan=False) + "\n")
    write(TRIALS, trials_table(learnt, space))
    write(EPOCHS, epochs_table(learnt))
    write(PAGE, page(learnt, space, mattered))
    return summary


def trials_table(learnt: Learnt, space: Space) -> str:
    """Return a CSV with a row for each trial. Scores are as they were compared: higher is better."""
    metrics = list(dict.fromkeys(name for trial in learnt.trials for name in trial.metrics))
    header = ["trial", "state", "score", *metrics, "seconds", "epochs", "last_epoch", "full", "parent", *space, "error"]
    rows = (
        [
            *(trial.id, trial.state, trial.score),
            *(trial.metrics.get(name) for name in metrics),
            *(trial.seconds, trial.epochs, trial.last_epoch, trial.full, trial.parent),
            *(_cell(trial.values[name]) if name in trial.values else None for name in space),
            trial.error,
        ]
        for trial in learnt.trials
    )
    return _csv(header, rows)


def epochs_table(learnt: Learnt) -> str:
    """Return a CSV of trial, epoch, metric, value. A trial that went on from another one has that one's epochs too."""
    rows = (
        [trial.id, epoch, metric, value]
        for trial in learnt.trials
        for metric, values in trial.course.items()
        for epoch, value in enumerate(values, 1)
    )
    return _csv(["trial", "epoch", "metric", "value"], rows)


def _cell(value: Any) -> Any:
    return value if isinstance(value, str) else label(value)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
