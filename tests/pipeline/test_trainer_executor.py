"""The Trainer's executor tells a run_fn what TFX's would, and notices one that leaves no model."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tfx.components.trainer.executor import GenericExecutor
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils, proto_utils

from pipeline.components.trainer_executor import Executor, FnArgs

TOLD: list = []


def remember(fn_args: object) -> None:
    """A run_fn that leaves a folder for a model."""
    TOLD.append(fn_args)
    os.makedirs(fn_args.serving_model_dir)  # type: ignore[attr-defined]


def save(fn_args: object) -> None:
    """A run_fn that leaves a folder for a model, and a checkpoint."""
    remember(fn_args)
    os.makedirs(fn_args.checkpoint_dir, exist_ok=True)  # type: ignore[attr-defined]


def forget(fn_args: object) -> None:
    """A run_fn that leaves nothing."""


def arguments(folder: Path, function: str) -> tuple[dict, dict, dict]:
    """Return what TFX hands to an executor."""

    def artifact(kind: type, name: str):
        made = kind()
        made.uri = str(folder / name)
        return made

    examples = artifact(standard_artifacts.Examples, "examples")
    examples.split_names = json.dumps(["train", "eval", "rest"])
    inputs = {"examples": [examples], "transform_graph": [artifact(standard_artifacts.TransformGraph, "graph")]}
    outputs = {
        "model": [artifact(standard_artifacts.Model, "Trainer/model/7")],
        "model_run": [artifact(standard_artifacts.ModelRun, "run")],
    }
    properties = {
        "train_args": proto_utils.proto_to_json(trainer_pb2.TrainArgs(splits=["train", "rest"])),
        "eval_args": proto_utils.proto_to_json(trainer_pb2.EvalArgs(splits=["eval"])),
        "run_fn": f"{__name__}.{function}",
        "custom_config": json_utils.dumps({"settings": "{}"}),
    }
    return inputs, outputs, properties


def test_run_fn_is_told_what_tfx_tells(tmp_path: Path) -> None:
    TOLD.clear()
    Executor().Do(*arguments(tmp_path, "remember"))
    (told,) = TOLD
    theirs = GenericExecutor()._GetFnArgs(*arguments(tmp_path, "remember"))
    names = set(FnArgs.__annotations__) - {"checkpoint_dir"}
    assert {name: getattr(told, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert len(told.train_files) == 2


def test_checkpoints_go_by_what_the_training_depends_on_and_not_by_the_attempt(tmp_path: Path) -> None:
    TOLD.clear()
    inputs, outputs, properties = arguments(tmp_path, "save")
    Executor().Do(inputs, outputs, properties)
    outputs["model"][0].uri = str(tmp_path / "Trainer" / "model" / "8")
    Executor().Do(inputs, outputs, properties)
    outputs["model"][0].uri = str(tmp_path / "Trainer" / "model" / "9")
    Executor().Do(inputs, outputs, properties | {"custom_config": "{}"})
    folders = [Path(told.checkpoint_dir) for told in TOLD]
    assert folders[0] == folders[1] != folders[2]
    assert folders[0].parent == tmp_path / "Trainer" / ".system" / "checkpoints"


def test_run_fn_that_leaves_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=f"{__name__}.forget left no model"):
        Executor().Do(*arguments(tmp_path, "forget"))
