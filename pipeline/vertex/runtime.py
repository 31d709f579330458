"""VertexRuntime: WHERE a pipeline runs on Google Cloud, read from a runtime file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline

from models.distribution import Devices, Kind
from pipeline.config_files import read_yaml, validate
from pipeline.errors import ConfigError
from pipeline.ingest.source import PACKAGE_SCHEME, resolve_package
from pipeline.registering import Registry
from pipeline.remote import is_remote
from pipeline.runtime import Engine
from pipeline.vertex.dataflow import Dataflow
from pipeline.vertex.machines import Machine
from pipeline.vertex.network import Network
from pipeline.vertex.notify import Notify
from pipeline.vertex.pools import Training, fitting_strategy
from pipeline.vertex.retries import Retries
from pipeline.vertex.serving import Serving, registry_of
from pipeline.vertex.tuning import Tuning
from pipeline.withdrawn import Withdrawal

_Bucket = Annotated[str, pydantic.Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")]
_Label = Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
_LabelValue = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_-]{0,63}$")]
_ACCOUNT = r"^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$"
DEFAULT_STAGE = "default"


class VertexRuntime(pydantic.BaseModel):
    """Project, region, bucket, image and machines."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    project: str = pydantic.Field(..., pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    region: str = pydantic.Field(..., pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    bucket: _Bucket
    image: str = pydantic.Field(..., min_length=1, description="By digest, or with a tag that is never reused.")
    site_packages: str | None = pydantic.Field(
        None,
        description="Where the image keeps its packages; default: where this project's image has them, by the Python in use.",
    )
    accelerators: Literal["cpu", "gpu", "tpu"] = pydantic.Field(
        "cpu", description="What the image's TensorFlow can use: the ARG of its Dockerfile. A GPU image runs on CPUs too."
    )
    service_account: str | None = pydantic.Field(None, pattern=_ACCOUNT)
    network: Network | None = None
    encryption_key: str | None = pydantic.Field(
        None, pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", description="CMEK, in the region."
    )
    labels: dict[_Label, _LabelValue] = pydantic.Field({}, description="Of all that is rented, for the bill.")
    strategy: Kind = pydantic.Field("auto", description="The tf.distribute strategy of the Trainer: see docs/training.md.")
    stages: dict[str, Machine] = pydantic.Field(
        {}, description="{stage: its machine}; `default` for all others. One with a `disk` or a TPU becomes a custom job."
    )
    training: Training | None = pydantic.Field(
        None, description="Default: the Trainer runs in its task, on the stage's machine."
    )
    tuning: Tuning = Tuning()
    dataflow: Dataflow | None = pydantic.Field(None, description="Default: Beam stages run inside their own container.")
    tensorboard: str | None = pydantic.Field(None, pattern=r"^projects/[^/]+/locations/[^/]+/tensorboards/[^/]+$")
    experiment: str | None = pydantic.Field(
        None, pattern=r"^[a-z0-9][a-z0-9-]{0,127}$", description="Of Vertex AI: jobs and their metrics are compared there."
    )
    notify: Notify | None = pydantic.Field(None, description="Who is told how a job ended. Default: nobody.")
    serving: Serving | None = pydantic.Field(None, description="Default: models go to the bucket and are not registered.")
    failure_policy: Literal["fast", "slow"] = pydantic.Field(
        "fast", description="After a failure: start nothing more, or finish what does not need it."
    )
    retries: Retries = Retries()
    timeout_hours: float = pydantic.Field(24.0, gt=0, description="Of one stage: it is ended then.")

    @pydantic.field_validator("image")
    @classmethod
    def _pinned(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            raise ValueError(
                f"'{image}' is mutable: Vertex would reuse old results. Name a digest (@sha256:...) or a source tag."
            )
        return image

    @pydantic.model_validator(mode="after")
    def _fits(self) -> VertexRuntime:
        if self.training and "Trainer" in self.stages:
            raise ValueError("the Trainer's machines are in `training` and in `stages: Trainer`. Leave one out.")
        machines = self.machines
        if any(machine.is_tpu for machine in machines) and self.accelerators != "tpu":
            raise ValueError(
                f"a TPU VM needs an image with TensorFlow for TPUs; `accelerators: {self.accelerators}` says it has none."
            )
        if any(machine.num_gpus for machine in machines) and self.accelerators != "gpu":
            raise ValueError(
                f"GPUs are asked for, but `accelerators: {self.accelerators}` says that the image cannot use them: TensorFlow "
                "would silently train on the CPU. Build it with ACCELERATOR=gpu, and say `accelerators: gpu`."
            )
        for what, resource in (("tensorboard", self.tensorboard), ("encryption_key", self.encryption_key)):
            if resource and (place := resource.split("/")[3]) != self.region:
                raise ValueError(f"{what} is in {place}, the pipeline runs in {self.region}. Use one of the same region.")
        fitting_strategy(self.strategy, self.training, self.machine_of("Trainer"))
        return self

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All that runs this project's image."""
        pools = self.training
        trainers = [pools.chief, pools.workers, pools.evaluator] if pools else []
        return tuple(machine for machine in (*self.stages.values(), *trainers, self.tuning.trial) if machine)

    @property
    def location(self) -> str:
        """The parent of all resources."""
        return f"projects/{self.project}/locations/{self.region}"

    def machine_of(self, stage: str) -> Machine | None:
        """Return what a stage runs on, None where Vertex chooses."""
        return self.stages.get(stage) or self.stages.get(DEFAULT_STAGE)

    @property
    def training_strategy(self) -> Kind:
        """The strategy that fits the Trainer's machines."""
        return fitting_strategy(self.strategy, self.training, self.machine_of("Trainer"))

    @property
    def devices(self) -> Devices:
        return Devices()  # all that a machine has

    def newest_version(self, kind: str) -> int:
        return 0

    @property
    def workers(self) -> int:
        return 1  # machines are the workers there

    @property
    def withdrawn(self) -> tuple[Withdrawal, ...]:
        return ()  # the Model Registry knows them: the stage that registers asks it

    @property
    def has_searched(self) -> bool:
        return True  # nobody knows before the job runs: `reuse: latest` there asks for a search in an earlier one

    @property
    def registry(self) -> Registry | None:
        return registry_of(self)

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
        return resolve_package(path, self.packages_folder)

    @property
    def packages_folder(self) -> str:
        """Where the image keeps its packages."""
        return self.site_packages or "/opt/venv/lib/python{}.{}/site-packages".format(*sys.version_info)

    def pipeline(self, name: str, components: Sequence[BaseNode]) -> Pipeline:
        return Pipeline(
            pipeline_name=name,
            pipeline_root=f"{self.bucket}/{name}/artifacts",
            components=list(components),
            enable_cache=True,
            beam_pipeline_args=self._beam_args(),
        )

    def _beam_args(self) -> list[str]:
        if self.dataflow:
            return self.dataflow.beam_args(self)
        return ["--runner=DirectRunner", "--direct_running_mode=in_memory"]


def load_runtime(path: Path) -> VertexRuntime:
    """Read a runtime file.

    Raises:
      ConfigError: for every mistake, all of them in one message.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist. Copy configs/runtime/vertex.example.yaml and fill it in.")
    return validate(VertexRuntime, read_yaml(path), path)
