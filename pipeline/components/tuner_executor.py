"""What the Tuner does, apart from the component: the graph is built without TensorFlow."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any

import tensorflow_transform as tft
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from models import datasets
from models.tuning.config import Hyperband
from models.tuning.objective import Judge
from models.tuning.oracles import kerastuner_config
from models.tuning.report.writing import write_report
from models.tuning.running import Material, Setting
from models.tuning.search import Problem, search
from models.tuning.trials import Learnt
from pipeline.artifacts import HYPERPARAMETERS_FILE, TUNING_SUMMARY_FILE, going_on_folder
from pipeline.components.tuner import TuneSettings
from pipeline.json_text import to_json
from pipeline.progress import announce


class Executor(base_executor.BaseExecutor):
    """Searches, and tells what was learnt."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave best_hyperparameters.txt, and the report in TunerResults."""
        settings = TuneSettings.model_validate_json(exec_properties["settings"])
        best = artifact_utils.get_single_instance(output_dict["best_hyperparameters"])
        source = Transformed.of(settings, input_dict)
        folder = going_on_folder(best.uri, input_dict, exec_properties)
        learnt = search(Problem(settings.tuner, settings.space, setting_of(settings), source, folder), announce)
        write_outputs(learnt, settings, output_dict)


def write_outputs(learnt: Learnt, settings: TuneSettings, output_dict: dict[str, list[Any]]) -> None:
    """Leave best_hyperparameters.txt, and the report in TunerResults."""
    best = artifact_utils.get_single_instance(output_dict["best_hyperparameters"])
    write = functools.partial(_write, artifact_utils.get_single_uri(output_dict["tuner_results"]))
    write(TUNING_SUMMARY_FILE, to_json(write_report(learnt, settings.space, write)))
    # As TFX's own Trainer reads it, and KerasTuner; the values as the config has them beside it.
    found = kerastuner_config(settings.space, learnt.values) | {"config_values": learnt.values}
    io_utils.write_string_file(os.path.join(best.uri, HYPERPARAMETERS_FILE), to_json(found))
    best.set_int_custom_property("improved", int(learnt.improved))
    best.set_int_custom_property("trials", len(learnt.trials))


def _write(folder: str, name: str, text: str) -> None:
    io_utils.write_string_file(os.path.join(folder, name), text)


@dataclass(frozen=True)
class Transformed:
    """Transformed examples. Nothing is read before a worker asks: the process that forks them runs no TensorFlow."""

    settings: TuneSettings
    transform_graph: str
    files: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, settings: TuneSettings, inputs: dict[str, list[Any]]) -> Transformed:
        """Find the examples among the artifacts that a Tuner was given."""
        examples = inputs["examples"]
        uris = {split: artifact_utils.get_split_uris(examples, split) for split in ("train", "eval")}
        files = {
            split: tuple(sorted(path for uri in each for path in fileio.glob(os.path.join(uri, "*"))))
            for split, each in uris.items()
        }
        return cls(settings, artifact_utils.get_single_uri(inputs["transform_graph"]), files)

    def load(self) -> Material:
        transform = tft.TFTransformOutput(self.transform_graph)
        spec = self.settings.example_spec(transform)
        train, evaluation = (datasets.load(self.files[split], spec) for split in ("train", "eval"))
        head = self.settings.fitted_head(transform, train.dataset(_BATCH_SIZE))
        return Material(train, evaluation, spec.features, head)


_BATCH_SIZE = 4096


def setting_of(settings: TuneSettings) -> Setting:
    """Return what all trials share."""
    return Setting(
        model_module=settings.model_module,
        model=settings.model,
        fit=settings.fit,
        judge=Judge(settings.tuner.objective, settings.label.kind),
        metrics=settings.metrics,
        keeps_checkpoints=isinstance(settings.tuner.algorithm, Hyperband),
    )
