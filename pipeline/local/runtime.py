"""LocalRuntime: folders of a root on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from models.distribution import Devices, Kind
from pipeline.artifacts import HYPERPARAMETERS_FILE, TUNER
from pipeline.ingest.source import resolve_package
from pipeline.local.run_folder import ARTIFACTS_FOLDER, METADATA_FILE, PUSHED_FOLDER
from pipeline.runtime import Engine
from pipeline.versions import versions_in
from pipeline.withdrawn import Withdrawal, read_withdrawn

# One process: a second Beam worker pays 20 s of imports, more than it wins below some hundred thousand rows.
BEAM_ARGS = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]


@dataclass(frozen=True)
class LocalRuntime:
    """Where everything of a pipeline lies.

    Attributes:
      root: holds artifacts, metadata and pushed models.
      training_strategy: the tf.distribute strategy of the Trainer.
      devices: what that strategy runs on, where the machine does not say it.
      workers: processes that the Trainer starts for `multi_worker`; 1: TF_CONFIG names others.
      engine: what statistics, transform and evaluation run on.
    """

    root: Path
    training_strategy: Kind = "auto"
    devices: Devices = field(default_factory=Devices)
    workers: int = 1
    engine: Engine = "columnar"

    def push_folder(self, name: str) -> str:
        return str(self.root / PUSHED_FOLDER)

    def newest_version(self, kind: str) -> int:
        return max(versions_in(str(self.root / PUSHED_FOLDER / kind)), default=0)

    @property
    def withdrawn(self) -> tuple[Withdrawal, ...]:
        return read_withdrawn(self.root / PUSHED_FOLDER)

    @property
    def has_searched(self) -> bool:
        return any((self.root / ARTIFACTS_FOLDER).glob(f"{TUNER}/*/*/{HYPERPARAMETERS_FILE}"))

    @property
    def registry(self) -> None:
        return None  # the folder is all there is

    @property
    def metadata_path(self) -> Path:
        return self.root / METADATA_FILE

    def data_path(self, path: str) -> str:
        return resolve_package(path)

    def pipeline(self, name: str, components: Sequence[BaseNode]) -> Pipeline:
        return Pipeline(
            pipeline_name=name,
            pipeline_root=str(self.root / ARTIFACTS_FOLDER),
            components=list(components),
            enable_cache=True,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(self.metadata_path)),
            beam_pipeline_args=BEAM_ARGS,
        )
