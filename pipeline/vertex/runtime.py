"""VertexRuntime: WHERE a pipeline runs on Google Cloud, read from a runtime file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pydantic
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline

from models.distribution import Devices, Kind
from pipeline.config_files import read_yaml, validate
from pipeline.errors import ConfigError
from pipeline.ingest.source import PACKAGE_SCHEME, resolve_package
from pipeline.remote import is_remote
from pipeline.runtime import Engine
from pipeline.withdrawn import Withdrawal

_Bucket = Annotated[str, pydantic.Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")]


class Dataflow(pydantic.BaseModel):
    """Workers of the Beam stages."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    machine_type: str = "e2-standard-4"
    max_workers: int = pydantic.Field(4, ge=1)
    disk_size_gb: int = pydantic.Field(50, ge=10)


class VertexRuntime(pydantic.BaseModel):
    """Project, region, bucket, image and machines."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    project: str = pydantic.Field(..., pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    region: str = pydantic.Field(..., pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    bucket: _Bucket
    image: str = pydantic.Field(..., min_length=1, description="By digest, or with a tag that is never reused.")
    site_packages: str = pydantic.Field(
        "/opt/venv/lib/python3.10/site-packages", description="Where the image keeps its packages."
    )
    service_account: str | None = None
    strategy: Kind = pydantic.Field("auto", description="The tf.distribute strategy of the Trainer: see docs/training.md.")
    devices: Devices = pydantic.Field(Devices(), description="What that strategy runs on.")
    dataflow: Dataflow | None = pydantic.Field(None, description="Default: Beam stages run inside their own container.")

    @pydantic.field_validator("image")
    @classmethod
    def _pinned(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            raise ValueError(
                f"'{image}' is mutable: Vertex would reuse old results. Name a digest (@sha256:...) or a source tag."
            )
        return image

    def newest_version(self, kind: str) -> int:
        return 0

    @property
    def workers(self) -> int:
        return 1  # machines are the workers there

    @property
    def withdrawn(self) -> tuple[Withdrawal, ...]:
        return ()  # nothing is rolled back there by this project

    @property
    def has_searched(self) -> bool:
        return True  # nobody knows before the job runs: `reuse: latest` there asks for a search in an earlier one

    @property
    def engine(self) -> Engine:
        return "beam" if self.dataflow else "columnar"

    def push_folder(self, name: str) -> str:
        return f"{self.bucket}/{name}/pushed"

    def data_path(self, path: str) -> str:
        """Return where the containers find the data.

        Raises:
          ConfigError: a path of this machine.
        """
        if not path.startswith(PACKAGE_SCHEME) and not is_remote(path):
            raise ConfigError(
                f"data.path: '{path}' lies on this machine, out of Vertex's reach. Copy it to {self.bucket} and name that."
            )
        return resolve_package(path, self.site_packages)

    def pipeline(self, name: str, components: Sequence[BaseNode]) -> Pipeline:
        return Pipeline(
            pipeline_name=name,
            pipeline_root=f"{self.bucket}/{name}/artifacts",
            components=list(components),
            enable_cache=True,
            beam_pipeline_args=self._beam_args(),
        )

    def _beam_args(self) -> list[str]:
        if not self.dataflow:
            return ["--runner=DirectRunner", "--direct_running_mode=in_memory"]
        args = {
            "runner": "DataflowRunner",
            "project": self.project,
            "region": self.region,
            "temp_location": f"{self.bucket}/dataflow",
            "sdk_container_image": self.image,
            "experiments": "use_runner_v2",
            "worker_machine_type": self.dataflow.machine_type,
            "max_num_workers": self.dataflow.max_workers,
            "disk_size_gb": self.dataflow.disk_size_gb,
        }
        if self.service_account:
            args["service_account_email"] = self.service_account
        return [f"--{key}={value}" for key, value in args.items()]


def load_runtime(path: Path) -> VertexRuntime:
    """Read a runtime file.

    Raises:
      ConfigError: for every mistake, all of them in one message.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist. Copy configs/runtime/vertex.example.yaml and fill it in.")
    return validate(VertexRuntime, read_yaml(path), path)
