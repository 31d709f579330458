"""What TFX's Trainer does for a `run_fn`, in a process that has no Beam.

TFX's executor imports TFXIO, and Beam with that, for a data accessor which nobody here reads.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils, json_utils, path_utils, proto_utils

from models.cluster import is_chief, is_evaluator
from pipeline.artifacts import HYPERPARAMETERS_FILE, going_on_folder
from pipeline.components.trainer_workers import run_workers

WORKERS = "workers"  # in custom_config: how many processes of this machine train


@dataclass(frozen=True)
class FnArgs:
    """What a `run_fn` is told, by the names that TFX has for it.

    Attributes:
      train_files: patterns of TFRecord files to train on.
      eval_files: of those to evaluate on.
      transform_graph_path: of the graph that made them.
      serving_model_dir: where the SavedModel goes.
      model_run_dir: where logs go.
      checkpoint_dir: of this training, the same whenever it is tried again with the same inputs.
      custom_config: of the component.
      hyperparameters: as the Tuner left them, None without one.
      base_model: SavedModel of the model to begin with, None without one.
    """

    train_files: Sequence[str]
    eval_files: Sequence[str]
    transform_graph_path: str
    serving_model_dir: str
    model_run_dir: str
    checkpoint_dir: str
    custom_config: dict[str, Any]
    hyperparameters: dict[str, Any] | None = None
    base_model: str | None = None


class Executor(base_executor.BaseExecutor):
    """Calls the function that the property `run_fn` names."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Train.

        Raises:
          RuntimeError: the function left no model, or a worker of this machine failed.
        """
        train, evaluation = trainer_pb2.TrainArgs(), trainer_pb2.EvalArgs()
        proto_utils.json_to_proto(exec_properties["train_args"], train)
        proto_utils.json_to_proto(exec_properties["eval_args"], evaluation)
        examples, model = input_dict["examples"], artifact_utils.get_single_uri(output_dict["model"])
        args = FnArgs(
            _patterns(examples, train.splits),
            _patterns(examples, evaluation.splits),
            artifact_utils.get_single_uri(input_dict["transform_graph"]),
            path_utils.serving_model_dir(model),
            artifact_utils.get_single_uri(output_dict["model_run"]),
            going_on_folder(model, input_dict, exec_properties),
            json_utils.loads(exec_properties["custom_config"]),
            _hyperparameters(input_dict.get("hyperparameters")),
            _saved_model(input_dict.get("base_model")),
        )
        train = functools.partial(_train, exec_properties["run_fn"], args)
        workers = args.custom_config.get(WORKERS, 1)
        if workers > 1:
            run_workers(train, workers)
        else:
            train()


def _train(run_fn: str, args: FnArgs) -> None:
    """Call a `run_fn` in this process, for what it writes to stay only if it is the chief's, or there is but one process.

    An evaluator calls none: it looks at what the others leave.

    Raises:
      RuntimeError: the function left no model.
    """
    if is_evaluator():
        from pipeline.entrypoints.side_evaluation import evaluate_checkpoints

        evaluate_checkpoints(args)
        return
    module, _, function = run_fn.rpartition(".")
    call = getattr(importlib.import_module(module), function)
    if not is_chief():
        # Of several workers that write the same files none may find half of another's; see tensorflow/tensorflow#38635.
        with tempfile.TemporaryDirectory(prefix="worker-") as scratch:
            model = path_utils.serving_model_dir(os.path.join(scratch, "model"))
            call(dataclasses.replace(args, serving_model_dir=model, model_run_dir=os.path.join(scratch, "run")))
        return
    call(args)
    if not fileio.exists(args.serving_model_dir):
        raise RuntimeError(f"{run_fn} left no model in {args.serving_model_dir}.")


def _hyperparameters(artifacts: list[Any] | None) -> dict[str, Any] | None:
    if not artifacts:
        return None
    return json.loads(io_utils.read_string_file(os.path.join(artifact_utils.get_single_uri(artifacts), HYPERPARAMETERS_FILE)))


def _saved_model(artifacts: list[Any] | None) -> str | None:
    return path_utils.serving_model_path(artifact_utils.get_single_uri(artifacts)) if artifacts else None


def _patterns(examples: list[Any], splits: Sequence[str]) -> list[str]:
    return [os.path.join(uri, "*") for split in splits for uri in artifact_utils.get_split_uris(examples, split)]
