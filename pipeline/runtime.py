"""Runtime: WHERE a pipeline runs. The graph asks it for folders, Beam arguments and strategy, and knows nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline

from models.distribution import Devices, Kind
from pipeline.registering import Registry
from pipeline.withdrawn import Withdrawal

Engine: TypeAlias = Literal["columnar", "beam"]


class Runtime(Protocol):
    """What differs between a laptop and Vertex AI."""

    @property
    def training_strategy(self) -> Kind:
        """The tf.distribute strategy of the Trainer."""

    @property
    def devices(self) -> Devices:
        """What that strategy runs on, where the machine does not say it."""

    @property
    def workers(self) -> int:
        """How many processes of one machine the Trainer starts for a strategy of several workers; 1: the machines are."""

    @property
    def engine(self) -> Engine:
        """What statistics, transform and evaluation run on: this project's blocks of columns, or TFX's own Beam pipelines."""

    def newest_version(self, kind: str) -> int:
        """Return the newest pushed version of "saved_model" or "edge", 0 where there is none or nobody knows."""

    @property
    def withdrawn(self) -> tuple[Withdrawal, ...]:
        """Models that must not be pushed again."""

    @property
    def has_searched(self) -> bool:
        """Whether there are hyperparameters of an earlier search to be taken."""

    @property
    def registry(self) -> Registry | None:
        """Where pushed SavedModels become versions; None: they stay in their folder."""

    def push_folder(self, name: str) -> str:
        """Return the folder of the pushed models of a pipeline."""

    def data_path(self, path: str) -> str:
        """Return where the stages will find data that the config names."""

    def pipeline(self, name: str, components: Sequence[BaseNode]) -> Pipeline:
        """Put the stages together for this runtime."""
