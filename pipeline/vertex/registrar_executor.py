"""Registers a pushed SavedModel in the task of a pipeline."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import io_utils

from pipeline.artifacts import DESTINATION_PROPERTY, GATES_FILE, MODEL_NAME_PROPERTY, MODEL_VERSION_PROPERTY
from pipeline.components.registrar import RegisterSettings
from pipeline.registering import Pushed, describe
from pipeline.versions import content_digest, model_digest
from pipeline.vertex.registry import Registered, register
from pipeline.vertex.serving_api import ServingApi, ServingError, explain

_LOGGER = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Makes a version of what was pushed."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave the resource name and the version in the artifact's properties, empty when nothing was registered.

        Raises:
          ServingError: the service refuses.
        """
        from google.api_core import exceptions

        settings = RegisterSettings.model_validate_json(exec_properties["settings"])
        pushed = artifact_utils.get_single_instance(input_dict["pushed_model"])
        output = artifact_utils.get_single_instance(output_dict["registered_model"])
        folder = pushed.get_string_custom_property(DESTINATION_PROPERTY)
        registered = Registered("", "", "the model was not pushed")
        if folder:
            report = artifact_utils.get_single_uri(input_dict["report"])
            api = ServingApi(settings.registry.location)
            try:
                registered = register(api, settings.registry, _describe(folder, report, run_of(output), settings))
            except exceptions.GoogleAPICallError as error:
                raise ServingError(explain(error, api.location, settings.registry.service_account)) from error
        _LOGGER.info("%s %s: %s.", registered.name or "Nothing registered", registered.version, registered.why.rstrip("."))
        output.set_string_custom_property(MODEL_NAME_PROPERTY, registered.name)
        output.set_string_custom_property(MODEL_VERSION_PROPERTY, registered.version)


def run_of(output: Artifact) -> str:
    """Return the run that an output is of: Vertex AI's are <root>/<project>/<job>/<task>/<key>."""
    parts = output.uri.rstrip("/").split("/")
    return parts[-3] if len(parts) > 3 else ""


def _describe(folder: str, report: str, run: str, settings: RegisterSettings) -> Pushed:
    gates = json.loads(io_utils.read_string_file(os.path.join(report, GATES_FILE)))
    lineage = settings.lineage | {"run": run}
    description = describe(gates["metrics"]["candidate"], run)
    return Pushed(folder, content_digest(folder), model_digest(folder), lineage, description)
