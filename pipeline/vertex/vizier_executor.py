"""The Tuner where Vertex AI searches: a hyperparameter tuning job, each trial on a machine of its own.

A custom job beside it trains with the config's own values, which a tuning job cannot be given as a first trial: what is found
has to beat them. Trials leave what they learnt in a folder; what this writes is what the Tuner writes everywhere.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from models.tuning.accounts import ended, learnt
from models.tuning.running import Outcome
from models.tuning.space import own_values
from models.tuning.trials import CONFIG_TRIAL, Learnt, Trial
from models.tuning.vizier_space import values_from_trial
from models.tuning.workers import Report
from pipeline.components.tuner import TuneSettings
from pipeline.components.tuner_executor import Transformed, setting_of, write_outputs
from pipeline.errors import PipelineError
from pipeline.vertex import launching
from pipeline.vertex.launching import Jobs, Kind

LOCATION_FLAG, JOB_FLAG = "--tuning_location=", "--tuning_job="
TRIAL_COMMAND = ["python", "-m", "pipeline.vertex.trial"]


class TuningJobError(PipelineError):
    """A job of the search failed."""


class Executor(base_executor.BaseExecutor):
    """Has Vertex AI search, and tells what was learnt."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave best_hyperparameters.txt, and the report in TunerResults.

        Raises:
          TuningJobError: one of the jobs did not succeed.
        """
        settings = TuneSettings.model_validate_json(exec_properties["settings"])
        flags = list(self._context.extra_flags)
        location, request = _flag(flags, LOCATION_FLAG), json.loads(_flag(flags, JOB_FLAG))
        results = artifact_utils.get_single_uri(output_dict["tuner_results"])
        command = _prepare(settings, Transformed.of(settings, input_dict), results)
        write_outputs(_search(settings, Jobs(location), request, command), settings, output_dict)


def _prepare(settings: TuneSettings, source: Transformed, results: str) -> list[str]:
    """Write down what trials are about; return the command of one."""
    problem, trials = os.path.join(results, "problem.json"), os.path.join(results, "trials")
    fileio.makedirs(trials)
    content = {"settings": settings.model_dump(mode="json"), "files": source.files, "transform_graph": source.transform_graph}
    io_utils.write_string_file(problem, json.dumps(content))
    return [*TRIAL_COMMAND, "--problem", problem, "--results", trials]


def _search(settings: TuneSettings, jobs: Jobs, request: dict[str, Any], command: list[str]) -> Learnt:
    began = time.monotonic()
    own_request: dict[str, Any] = {
        "displayName": f"{request['displayName']}-own",
        "jobSpec": json.loads(json.dumps(request["trialJobSpec"])),
        **{key: request[key] for key in ("labels", "encryptionSpec") if key in request},
    }
    with jobs.cancelling():
        own = jobs.start(Kind.CUSTOM, launching.with_command(own_request, [*command, "--own"]))
        search = jobs.start(Kind.TUNING, launching.with_command(request, command))
        own, search = jobs.wait(own), jobs.wait(search)
    for job in (own, search):
        if not launching.succeeded(job):
            raise TuningJobError(launching.failure(job))
    elapsed = time.monotonic() - began
    trials = {trial.id: trial for trial in _trials(settings, search, command[-1], elapsed)}
    return learnt(trials, settings.tuner, setting_of(settings).judge, elapsed, f"{len(trials)} trials")


def _trials(settings: TuneSettings, job: Any, folder: str, elapsed: float) -> Iterator[Trial]:
    """Give the trial of the config's own values, then those of a tuning job."""
    setting = setting_of(settings)
    sections = {"model": setting.model, "fit": setting.fit.model_dump(mode="json")}
    begun = [Trial(CONFIG_TRIAL, own_values(settings.space, sections), setting.fit.epochs)]
    for found in job.trials:
        parameters = [{"parameterId": each.parameter_id, "value": _plain(each.value)} for each in found.parameters]
        begun.append(Trial(f"{int(found.id):04}", values_from_trial(parameters, settings.space), setting.fit.epochs))
    for trial in begun:
        name = trial.id if trial.id == CONFIG_TRIAL else str(int(trial.id))
        path = os.path.join(folder, f"{name}.json")
        if fileio.exists(path):
            report = Report(0, outcome=Outcome(**json.loads(io_utils.read_string_file(path))))
        else:
            report = Report(0, error="it left nothing behind; the tuning job's page has its log")
        yield dataclasses.replace(ended(trial, report, setting.judge, setting.fit.epochs, elapsed), ended_at=elapsed)


def _plain(value: Any) -> Any:
    """Return a number or text of a parameter, which the client gives as it is or as a protocol buffer."""
    kind = getattr(value, "WhichOneof", lambda _: None)("kind")
    return getattr(value, kind) if kind else value


def _flag(flags: list[str], name: str) -> str:
    return next(flag.removeprefix(name) for flag in flags if flag.startswith(name))
