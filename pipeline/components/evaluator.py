"""ColumnarEvaluator: what TFX's Evaluator leaves, without Beam."""

from __future__ import annotations

import os
from typing import Any

import pydantic
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, channel, component_spec, standard_artifacts
from tfx.utils import path_utils

from models.heads import Kind


class EvaluatorSettings(pydantic.BaseModel):
    """What the stage needs of the config."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    label_column: str
    metrics: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    split: str
    code_digest: str


class Executor(base_executor.BaseExecutor):
    """Evaluates the candidate and, if there is one, the baseline."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Leave an evaluation that `tfma.load_eval_result` reads."""
        # Not at the top: the graph is built without them.
        from pipeline.columnar.evaluating import Question, evaluation, write_evaluation
        from pipeline.evaluation import BASELINE, CANDIDATE, eval_config

        settings = EvaluatorSettings.model_validate_json(exec_properties["settings"])
        folder = artifact_utils.get_split_uri(input_dict["examples"], settings.split)
        artifacts = {CANDIDATE: input_dict["model"], BASELINE: input_dict.get("baseline_model") or []}
        models = {
            name: path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
            for name, found in artifacts.items()
            for model in found
        }
        question = Question(settings.kind, settings.label_column, settings.metrics, settings.slices)
        results = evaluation(sorted(fileio.glob(os.path.join(folder, "*"))), models, question)
        config = eval_config(settings.kind, settings.label_column, settings.metrics, settings.slices)
        for spec in [spec for spec in config.model_specs if spec.name not in models]:
            config.model_specs.remove(spec)
        write_evaluation(artifact_utils.get_single_uri(output_dict["evaluation"]), results, config, models, folder)


class _Spec(component_spec.ComponentSpec):
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation)}
    PARAMETERS = {"settings": component_spec.ExecutionParameter(type=str)}


class ColumnarEvaluator(base_component.BaseComponent):
    """Measures the candidate and the latest blessed model on the same rows."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, examples: channel.Channel, model: channel.Channel, baseline_model: channel.Channel, settings: EvaluatorSettings
    ):
        """Evaluate.

        Args:
          examples: as ingested.
          model: the candidate.
          baseline_model: may be none yet.
          settings: what is needed of the config.
        """
        spec = _Spec(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            settings=settings.model_dump_json(),
            evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
        )
        super().__init__(spec=spec)
