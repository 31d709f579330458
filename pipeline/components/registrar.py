"""ModelRegistry: the pushed SavedModel becomes a version of a model in Vertex AI's Model Registry."""

from __future__ import annotations

import pydantic
from tfx.dsl.components.base import base_component
from tfx.types import channel, component_spec, standard_artifacts

from pipeline.artifacts import GateReport, RegisteredModel
from pipeline.code_digest import code_digest, project_digest
from pipeline.components.executors import ExecutorByPath
from pipeline.registering import Registry

EXECUTOR_MODULE = "pipeline.vertex.registrar_executor"


class RegisterSettings(pydantic.BaseModel):
    """What the registrar needs of the config and of the runtime.

    Attributes:
      registry: where versions go.
      lineage: {label: what the version was made by}, besides the run.
      code_digest: for the cache key.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    registry: Registry
    lineage: dict[str, str]
    code_digest: str


def register_settings(registry: Registry, pipeline: str, config_digest: str) -> RegisterSettings:
    """Return the settings of a pipeline's registrar."""
    digests = {"code": project_digest(), "config": config_digest}
    lineage = {"pipeline": pipeline} | {key: digest.removeprefix("sha256:")[:16] for key, digest in digests.items()}
    return RegisterSettings(registry=registry, lineage=lineage, code_digest=code_digest(EXECUTOR_MODULE))


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
        "report": component_spec.ChannelParameter(type=GateReport),
    }
    OUTPUTS = {"registered_model": component_spec.ChannelParameter(type=RegisteredModel)}
    PARAMETERS = {"settings": component_spec.ExecutionParameter(type=str)}


class ModelRegistry(base_component.BaseComponent):
    """Registers what was pushed, once; nothing when nothing was pushed."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = ExecutorByPath(f"{EXECUTOR_MODULE}.Executor")

    def __init__(self, pushed_model: channel.Channel, report: channel.Channel, settings: RegisterSettings):
        """Register a model.

        Args:
          pushed_model: of a Pusher of this project, which says in it where the version lies.
          report: of the ModelGate, for the metrics.
          settings: where to, and what it was made by.
        """
        spec = _Spec(
            pushed_model=pushed_model,
            report=report,
            settings=settings.model_dump_json(),
            registered_model=channel.Channel(type=RegisteredModel),
        )
        super().__init__(spec=spec)
