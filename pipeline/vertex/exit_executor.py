"""What the exit handler of a job does."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_executor

from pipeline.artifacts import GATES_FILE
from pipeline.vertex.exit_handler import FINAL_STATUS, SETTINGS, ExitSettings
from pipeline.vertex.notifying import ended, tell
from pipeline.vertex.service import REHEARSAL_VARIABLE

_LOGGER = logging.getLogger(__name__)
_REPORT = "report"


class Executor(base_executor.BaseExecutor):
    """Says how the job ended. What it cannot do it logs: no job whose model is pushed fails because a chat is away."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Associate the job with its experiment, and tell people."""
        settings = ExitSettings.model_validate_json(exec_properties[SETTINGS])
        status = json.loads(exec_properties[FINAL_STATUS])
        if os.environ.get(REHEARSAL_VARIABLE):
            _LOGGER.info("A rehearsal tells nobody, and is in no experiment. It would say:")
            _LOGGER.info("%s", ended(settings.pipeline, status, None).text)
            return
        job = _look_up(settings.location, status["pipelineJobResourceName"])
        if settings.experiment and job is not None:
            _associate(settings, job)
        if settings.notify:
            tell(settings.notify, ended(settings.pipeline, status, job))


def _look_up(location: str, name: str) -> Any:
    """Return the job, None where the service does not say."""
    from pipeline.vertex.jobs.api import JobsApi, ServiceError

    try:
        return JobsApi(location).job(name)
    except ServiceError as error:
        _LOGGER.error("%s Only the last word of the service is known.", error)
        return None


def _associate(settings: ExitSettings, job: Any) -> None:
    from google.api_core import exceptions
    from google.auth import exceptions as auth
    from requests import RequestException

    from pipeline.vertex.experiments import Experiments

    try:
        Experiments(settings.location).add(str(settings.experiment), job, metrics_of(job))
    except (exceptions.GoogleAPICallError, auth.GoogleAuthError, RequestException) as error:
        _LOGGER.error("The job is not in experiment %s: %s", settings.experiment, error)
    else:
        _LOGGER.info("The job is in experiment %s.", settings.experiment)


def metrics_of(job: Any) -> Mapping[str, float]:
    """Return the candidate's metrics on the eval split, from the gate's report; {} where there is none."""
    from tfx.dsl.io import fileio

    for detail in job.job_detail.task_details:
        for artifact in detail.outputs[_REPORT].artifacts if _REPORT in detail.outputs else []:
            file = os.path.join(artifact.uri, GATES_FILE)
            if fileio.exists(file):
                with fileio.open(file, "r") as stream:
                    found = json.load(stream).get("metrics", {}).get("candidate", {})
                return {name: value for name, value in found.items() if value is not None}
    return {}
