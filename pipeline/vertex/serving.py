"""Serving: what becomes of a pushed SavedModel on Vertex AI: a version in the Model Registry and, if wished, an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pydantic

from pipeline.registering import Registry
from pipeline.vertex.machines import Machine

if TYPE_CHECKING:
    from pipeline.vertex.runtime import VertexRuntime

_Alias = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-zA-Z0-9-]{0,126}[a-zA-Z0-9]$")]


class Endpoint(Machine):
    """What answers online requests."""

    machine_type: str = "n1-standard-2"
    name: str = pydantic.Field(..., min_length=1, max_length=128, description="Display name; made if it is not there.")
    min_replicas: int = pydantic.Field(1, ge=1)
    max_replicas: int = pydantic.Field(1, ge=1)
    canary_percent: int = pydantic.Field(10, ge=1, le=100, description="Traffic that a new version gets until it is promoted.")

    @pydantic.model_validator(mode="after")
    def _replicas(self) -> Endpoint:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas is {self.min_replicas}, more than max_replicas, {self.max_replicas}.")
        if self.is_tpu or self.disk:
            raise ValueError("an endpoint runs on machines with CPUs or GPUs, and takes no `disk`.")
        return self


class Serving(pydantic.BaseModel):
    """The Model Registry, and the endpoint."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    model: str = pydantic.Field(
        ...,
        pattern=r"^[a-z]([a-z0-9_-]{0,61}[a-z0-9])?$",
        description="Id of the parent model; each push is a version of it.",
    )
    aliases: tuple[_Alias, ...] = pydantic.Field(("candidate",), description="Of the newest version.")
    champion_alias: _Alias = pydantic.Field("champion", description="Of the version that was promoted last.")
    image: str | None = pydantic.Field(
        None, description="Serving container. Default: Google's for TensorFlow, with or without GPU, of the region's continent."
    )
    endpoint: Endpoint | None = pydantic.Field(None, description="Without one, versions are registered and not deployed.")

    def container(self, region: str) -> str:
        """Return the image that serves."""
        if self.image:
            return self.image
        continent = {"europe": "europe", "asia": "asia"}.get(region.partition("-")[0], "us")
        kind = "gpu" if self.endpoint and self.endpoint.num_gpus else "cpu"
        return f"{continent}-docker.pkg.dev/vertex-ai/prediction/tf2-{kind}.2-15:latest"


def registry_of(runtime: VertexRuntime) -> Registry | None:
    """Return where a runtime file has pushed models registered; None: nowhere."""
    if not (serving := runtime.serving):
        return None
    return Registry(
        location=runtime.location,
        model=serving.model,
        aliases=serving.aliases,
        image=serving.container(runtime.region),
        service_account=runtime.service_account,
        encryption_key=runtime.encryption_key,
        labels=runtime.labels,
    )
