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
        results = artifact_utils.get_single_uri(output_dict["tuner_results"])
        learnt = search(_problem(settings, input_dict, best.uri, exec_properties), announce)
        write = functools.partial(_write, results)
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

    def load(self) -> Material:
        transform = tft.TFTransformOutput(self.transform_graph)
        spec = self.settings.example_spec(transform)
        train, evaluation = (datasets.load(self.files[split], spec) for split in ("train", "eval"))
        head = self.settings.fitted_head(transform, train.dataset(_BATCH_SIZE))
        return Material(train, evaluation, spec.features, head)


_BATCH_SIZE = 4096


def _problem(settings: TuneSettings, inputs: dict[str, list[Any]], output: str, exec_properties: dict[str, Any]) -> Problem:
    examples = inputs["examples"]
    files = {
        split: tuple(
            sorted(
                path for uri in artifact_utils.get_split_uris(examples, split) for path in fileio.glob(os.path.join(uri, "*"))
            )
        )
        for split in ("train", "eval")
    }
    setting = Setting(
        model_module=settings.model_module,
        model=settings.model,
        fit=settings.fit,
        judge=Judge(settings.tuner.objective, settings.label.kind),
        metrics=settings.metrics,
        keeps_checkpoints=isinstance(settings.tuner.algorithm, Hyperband),
    )
    source = Transformed(settings, artifact_utils.get_single_uri(inputs["transform_graph"]), files)
    return Problem(settings.tuner, settings.space, setting, source, going_on_folder(output, inputs, exec_properties))
