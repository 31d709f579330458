"""Dataflow: the workers of Beam stages, and Beam's arguments for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pydantic

if TYPE_CHECKING:
    from pipeline.vertex.runtime import VertexRuntime


class Dataflow(pydantic.BaseModel):
    """Workers of the Beam stages."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    machine_type: str = "e2-standard-4"
    num_workers: int | None = pydantic.Field(None, ge=1, description="To begin with. Default: Dataflow decides.")
    max_workers: int = pydantic.Field(4, ge=1)
    disk_size_gb: int = pydantic.Field(50, ge=10)
    subnetwork: str | None = pydantic.Field(
        None, pattern=r"^(https://www\.googleapis\.com/compute/v1/)?(projects/[^/]+/)?regions/[^/]+/subnetworks/[^/]+$"
    )
    public_ips: bool = pydantic.Field(True, description="Without them the subnetwork needs Private Google Access.")
    service_account: str | None = pydantic.Field(None, description="Default: the pipeline's.")

    @pydantic.model_validator(mode="after")
    def _sizes(self) -> Dataflow:
        if self.num_workers and self.num_workers > self.max_workers:
            raise ValueError(f"num_workers is {self.num_workers}, more than max_workers, {self.max_workers}.")
        if not self.public_ips and not self.subnetwork:
            raise ValueError("public_ips: false needs a `subnetwork` with Private Google Access; name it.")
        return self

    def beam_args(self, runtime: VertexRuntime) -> list[str]:
        """Return Beam's arguments."""
        args: dict[str, str | int | None] = {
            "runner": "DataflowRunner",
            "project": runtime.project,
            "region": runtime.region,
            "temp_location": f"{runtime.bucket}/dataflow",
            "sdk_container_image": runtime.image,
            "experiments": "use_runner_v2",
            "worker_machine_type": self.machine_type,
            "num_workers": self.num_workers,
            "max_num_workers": self.max_workers,
            "disk_size_gb": self.disk_size_gb,
            "subnetwork": self.subnetwork,
            "service_account_email": self.service_account or runtime.service_account,
            "dataflow_kms_key": runtime.encryption_key,
        }
        flags = [] if self.public_ips else ["--no_use_public_ips"]
        labels = [f"--labels={key}={value}" for key, value in sorted(runtime.labels.items())]
        return [f"--{key}={value}" for key, value in args.items() if value is not None] + flags + labels
