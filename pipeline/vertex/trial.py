"""One trial of a search by Vertex AI: `python -m pipeline.vertex.trial --problem F --results F --fit.learning_rate=0.01 ...`.

A hyperparameter tuning job starts this on a machine of its own and appends the values to be tried. Each epoch's score goes to
the file that Vertex reads, in the form of Google's cloudml-hypertune; what the trial learnt goes to the results' folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import lean_imports

if TYPE_CHECKING:
    from models.tuning.objective import Judge
    from models.tuning.running import Outcome

_METRIC_FILE_VARIABLE, _METRIC_FILE = "CLOUD_ML_HP_METRIC_FILE", "/var/hypertune/output.metrics"
_TRIAL_VARIABLE = "CLOUD_ML_TRIAL_ID"
OWN_TRIAL = "config"  # with the config's own values; is no trial of Vertex's
# cloudml-hypertune keeps so many too.
_MOST_REPORTS = 100
_INTERRUPTED = "stopped by Vertex AI"


def main(arguments: Sequence[str]) -> int:
    """Run a trial; return the exit code."""
    lean_imports.install()
    parser = argparse.ArgumentParser(prog="python -m pipeline.vertex.trial", allow_abbrev=False)
    parser.add_argument("--problem", required=True, help="JSON file that the Tuner's task has written.")
    parser.add_argument("--results", required=True, help="Folder for what each trial learnt.")
    parser.add_argument("--own", action="store_true", help="Try the config's own values.")
    asked, rest = parser.parse_known_args(list(arguments))
    identity = OWN_TRIAL if asked.own else os.environ.get(_TRIAL_VARIABLE, "")
    if not identity:
        parser.error(f"the environment has no {_TRIAL_VARIABLE}: this is started by a hyperparameter tuning job.")
    _Trial(asked.problem, asked.results, identity).run(rest)
    return 0


class _Trial:
    def __init__(self, problem: str, results: str, identity: str):
        from tfx.utils import io_utils

        from models.tuning.running import Runner, take_devices
        from pipeline.components.tuner import TuneSettings
        from pipeline.components.tuner_executor import Transformed, setting_of

        content = json.loads(io_utils.read_string_file(problem))
        self._settings = TuneSettings.model_validate(content["settings"])
        files = {split: tuple(names) for split, names in content["files"].items()}
        self._setting = setting_of(self._settings)
        self._folder, self._id = results, identity
        self._reports = Reports(self._setting.judge)
        self._course: dict[str, list[float]] = {}
        take_devices(0, os.cpu_count() or 1)
        self._runner = Runner(self._setting, Transformed(self._settings, content["transform_graph"], files))

    def run(self, arguments: Sequence[str]) -> None:
        """Train with the values of the command line, and leave what came of it."""
        from models.tuning.running import Request
        from models.tuning.space import own_values
        from models.tuning.vizier_space import values_from_trial

        sections = {"model": self._setting.model, "fit": self._setting.fit.model_dump(mode="json")}
        own, space = self._id == OWN_TRIAL, self._settings.space
        values = own_values(space, sections) if own else values_from_trial(suggested(arguments), space)
        last_epoch = self._setting.fit.epochs
        self._began = time.monotonic()
        outcome = self._runner.run(Request(self._id, values, last_epoch, os.path.join(self._folder, self._id)), self._verdict)
        self._leave(outcome)
        if not self._setting.judge.violations(outcome.metrics, beforehand=True):
            self._reports.write(outcome.metrics, outcome.epochs + 1)

    def _verdict(self, epoch: int, metrics: Mapping[str, float]) -> str | None:
        from models.tuning.running import Outcome

        if epoch == 0:
            return "; ".join(self._setting.judge.violations(metrics, beforehand=True)) or None
        seconds = time.monotonic() - self._began
        for name, value in metrics.items():
            self._course.setdefault(name, []).append(value)
        # Whoever stops the trial from now on leaves this behind.
        self._leave(Outcome({**metrics, "seconds": seconds}, self._course, epoch, seconds, _INTERRUPTED))
        self._reports.write({**metrics, "seconds": seconds}, epoch)
        return None

    def _leave(self, outcome: Outcome) -> None:
        from tfx.utils import io_utils

        io_utils.write_string_file(os.path.join(self._folder, f"{self._id}.json"), json.dumps(dataclasses.asdict(outcome)))


class Reports:
    """The metrics file of a trial."""

    def __init__(self, judge: Judge):
        """Report by a judge: its score first, then what is limited."""
        self._judge = judge
        self._path = Path(os.environ.get(_METRIC_FILE_VARIABLE, _METRIC_FILE))
        self._lines: list[str] = []

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Report metrics of an epoch."""
        told = {name: metrics[name] for name in self._judge.objective.limits if name in metrics}
        told[self._judge.score_name] = self._judge.shown(self._judge.score(metrics))
        for name, value in told.items():
            line = {
                "timestamp": time.time(),
                "trial": os.environ.get(_TRIAL_VARIABLE, "0"),
                name: str(float(value)),
                "global_step": str(step),
                "checkpoint_path": "",
            }
            self._lines.append(json.dumps(line, sort_keys=True))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join(self._lines[-_MOST_REPORTS:]) + "\n", "utf-8")


def suggested(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Return the parameters on a trial's command line: --name=value, or --name value, as Vertex may write either.

    Raises:
      ValueError: something else stands there.
    """
    parameters: list[dict[str, Any]] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not (equals or waiting):
            raise ValueError(f"Expected --parameter=value, found '{word}'.")
        parameters.append({"parameterId": name, "value": value if equals else waiting.pop(0)})
    return parameters


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
