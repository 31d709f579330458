"""What is examined."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError

if TYPE_CHECKING:  # imported late at run time: a check must not need what another one finds broken
    from pipeline.config import PipelineConfig
    from pipeline.doctor.cloud import Cloud
    from pipeline.doctor.rows import Rows
    from pipeline.vertex.runtime import VertexRuntime

_PROJECT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Endpoints:
    """Where Google's services are; None: the registry's own host, as the image's name says, and Vertex AI's of the region."""

    storage: str = "https://storage.googleapis.com"
    service_usage: str = "https://serviceusage.googleapis.com"
    registry: str | None = None
    resource_manager: str = "https://cloudresourcemanager.googleapis.com"
    iam: str = "https://iam.googleapis.com"
    compute: str = "https://compute.googleapis.com"
    kms: str = "https://cloudkms.googleapis.com"
    bigquery: str = "https://bigquery.googleapis.com"
    vertex: str | None = None

    @classmethod
    def all_at(cls, url: str) -> Endpoints:
        """Return the same place for all of them."""
        return cls(**dict.fromkeys(cls.__annotations__, url))


@dataclass(frozen=True)
class Subject:
    """A machine, a config, a root and a cloud set-up.

    Attributes:
      config: the experiment; default: only the machine is looked at.
      runtime: a Vertex runtime file; default: no cloud is looked at.
      root: of runs; default: runs/<pipeline name>.
      project: the folder of this project, with its lock files and .venv.
      endpoints: of the cloud.
      max_rows: about how many rows of the data are held to the schema.
    """

    config: Path | None = None
    runtime: Path | None = None
    root: Path | None = None
    project: Path = _PROJECT
    endpoints: Endpoints = field(default_factory=Endpoints)
    max_rows: int = 100_000

    @functools.cached_property
    def experiment(self) -> PipelineConfig:
        """The config, loaded.

        Raises:
          ConfigError: it is not given, or wrong.
          ImportError: what reading it takes is not installed.
        """
        if self.config is None:
            raise ConfigError("No config is given. Name one: --config configs/taxi.yaml.")
        _import_lean()
        from pipeline.config import load_config

        return load_config(self.config)

    def config_or_none(self) -> PipelineConfig | None:
        """Return the config, if there is one that can be loaded."""
        with contextlib.suppress(ConfigError, ImportError):  # for the check of the config to tell
            return self.experiment
        return None

    @property
    def place(self) -> Path:
        """The root of the runs; without a config that says so, the folder above the usual ones."""
        config = self.config_or_none() if self.root is None else None
        return self.root or (Path("runs") / config.name if config else Path("runs"))

    @functools.cached_property
    def rows(self) -> Rows:
        """The first rows of the data, as ExampleGen and StatisticsGen see them.

        Raises:
          DataError: there is no such file.
        """
        _import_lean()
        from pipeline.doctor.rows import read_rows

        return read_rows(self.experiment, self.max_rows)

    @functools.cached_property
    def vertex(self) -> VertexRuntime:
        """The runtime file, loaded.

        Raises:
          ConfigError: it is not given, or wrong.
          ImportError: TFX is not installed.
        """
        if self.runtime is None:
            raise ConfigError("No runtime file is given. Name one: --runtime configs/runtime/vertex.yaml.")
        _import_lean()
        from pipeline.vertex.runtime import load_runtime

        return load_runtime(self.runtime)

    @functools.cached_property
    def cloud(self) -> Cloud:
        """A connection to Google Cloud.

        Raises:
          CloudError: there are no credentials, or Google does not take them.
        """
        from pipeline.doctor.cloud import connect

        return connect()


def _import_lean() -> None:
    from pipeline import lean_imports

    lean_imports.install()
