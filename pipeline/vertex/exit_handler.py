"""ExitHandler: the last task of a job, which runs whatever became of the others. Says how the job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pydantic
from tfx.dsl.components.base import base_component
from tfx.orchestration.kubeflow.decorators import FinalStatusStr
from tfx.types import component_spec

from pipeline.components.executors import ExecutorByPath
from pipeline.vertex.notify import Notify

if TYPE_CHECKING:
    from pipeline.vertex.runtime import VertexRuntime

EXECUTOR_MODULE = "pipeline.vertex.exit_executor"
# Of the execution properties of the executor.
FINAL_STATUS, SETTINGS = "final_status", "settings"


class ExitSettings(pydantic.BaseModel):
    """What the exit handler needs of config and runtime.

    Attributes:
      pipeline: its name.
      location: projects/P/locations/R.
      notify: who is told; None: nobody.
      experiment: of Vertex AI that the job belongs to; None: none.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    location: str
    notify: Notify | None
    experiment: str | None


class _Spec(component_spec.ComponentSpec):
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS: dict[str, component_spec.ChannelParameter] = {}
    PARAMETERS = {
        FINAL_STATUS: component_spec.ExecutionParameter(type=str),
        SETTINGS: component_spec.ExecutionParameter(type=str),
    }


class ExitHandler(base_component.BaseComponent):
    """Associates the job with an experiment, and tells people how it ended."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = ExecutorByPath(f"{EXECUTOR_MODULE}.Executor")

    def __init__(self, settings: ExitSettings):
        """Take the settings; the final status of all other tasks is the service's to fill in."""
        super().__init__(spec=_Spec(final_status=FinalStatusStr(), settings=settings.model_dump_json()))


def exit_handler_of(pipeline: str, runtime: VertexRuntime) -> ExitHandler | None:
    """Return the exit handler that a runtime asks for, None where there is nothing for one to do."""
    if not (runtime.notify or runtime.experiment):
        return None
    settings = ExitSettings(pipeline=pipeline, location=runtime.location, notify=runtime.notify, experiment=runtime.experiment)
    return ExitHandler(settings)
