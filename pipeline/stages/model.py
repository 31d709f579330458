"""Stages of the model: search, train, evaluate, judge."""

from __future__ import annotations

from typing import NamedTuple

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.types import Channel
from tfx.types.standard_artifacts import HyperParameters, Model, ModelBlessing, TunerResults

from pipeline.artifacts import LATEST_SEARCH, TUNER
from pipeline.code_digest import code_digest
from pipeline.components import evaluator as evaluator_component
from pipeline.components import model_gate, tuner
from pipeline.components.evaluator import ColumnarEvaluator, EvaluatorSettings
from pipeline.components.model_gate import ModelGate
from pipeline.components.standard import Trainer
from pipeline.components.trainer_executor import WORKERS
from pipeline.config import PipelineConfig
from pipeline.entrypoints import training
from pipeline.entrypoints.training import TrainSettings
from pipeline.runtime import Runtime
from pipeline.stages.settings import EVAL, TRAIN, custom_config, dotted, train_settings
from pipeline.tasks import TASKS

EVALUATOR = "Evaluator"  # as TFX names its own component for it


class Judged(NamedTuple):
    """The stages of evaluation."""

    evaluator: BaseComponent
    gate: BaseComponent


class Tuned(NamedTuple):
    """The stage that knows the best hyperparameters, if there is one."""

    stages: tuple[BaseNode, ...]
    hyperparameters: Channel | None


def tune(transformed: BaseComponent, config: PipelineConfig, runtime: Runtime) -> Tuned:
    """Search for hyperparameters, or take what the newest search found."""
    if not config.tuner:
        return Tuned((), None)
    if config.tuner.reuse == "latest" and runtime.has_searched:
        latest = Resolver(
            strategy_class=LatestArtifactStrategy,
            best_hyperparameters=Channel(type=HyperParameters),
            tuner_results=Channel(type=TunerResults),
        ).with_id(LATEST_SEARCH)
        return Tuned((latest,), latest.outputs["best_hyperparameters"])
    settings = tuner.TuneSettings(
        **train_settings(config, runtime),
        tuner=config.tuner,
        space=config.search_space,
        code_digest=code_digest(tuner.EXECUTOR_MODULE, TASKS[config.task].model),
    )
    outputs = transformed.outputs
    search = tuner.Tuner(outputs["transformed_examples"], outputs["transform_graph"], settings).with_id(TUNER)
    return Tuned((search,), search.outputs["best_hyperparameters"])


def champion() -> Resolver:
    """Find the latest blessed model, if there is one."""
    return Resolver(
        strategy_class=LatestBlessedModelStrategy, model=Channel(type=Model), model_blessing=Channel(type=ModelBlessing)
    ).with_id("LatestBlessedModel")


def train(transformed: BaseComponent, tuned: Tuned, best: Resolver, config: PipelineConfig, runtime: Runtime) -> Trainer:
    """Train the model and the simple baseline on the transformed examples."""
    settings = TrainSettings(**train_settings(config, runtime))
    return Trainer(
        run_fn=dotted(training, training.run_fn),
        examples=transformed.outputs["transformed_examples"],
        transform_graph=transformed.outputs["transform_graph"],
        custom_config=custom_config(settings, training, TASKS[config.task].model)
        | ({WORKERS: runtime.workers} if runtime.workers > 1 else {}),
        train_splits=[TRAIN],
        eval_splits=[EVAL],
        hyperparameters=tuned.hyperparameters,
        base_model=best.outputs["model"] if config.fit.warm_start else None,
    )


def evaluate(data: BaseComponent, trained: Trainer, best: Resolver, config: PipelineConfig, runtime: Runtime) -> Judged:
    """Evaluate the candidate and the latest blessed model on the eval split, overall and by slice; apply the gates."""
    inputs = {
        "examples": data.outputs["examples"],
        "model": trained.outputs["model"],
        "baseline_model": best.outputs["model"],
    }
    asked = config.label.kind, config.label.column, config.metrics, config.evaluation.slices
    if runtime.engine == "beam":
        from pipeline.components.evaluator_on_beam import EvaluatorOnBeam  # takes seconds, and columnar runs need it not
        from pipeline.evaluation import eval_config

        on_beam = EvaluatorOnBeam(**inputs, example_splits=[EVAL], eval_config=eval_config(*asked))
        measured: BaseComponent = on_beam.with_id(EVALUATOR)
    else:
        names = ("kind", "label_column", "metrics", "slices")
        columnar = EvaluatorSettings(
            **dict(zip(names, asked, strict=True)), split=EVAL, code_digest=code_digest(evaluator_component)
        )
        measured = ColumnarEvaluator(**inputs, settings=columnar).with_id(EVALUATOR)
    digest = code_digest(model_gate)
    settings = model_gate.Settings(
        pipeline=config.name, kind=config.label.kind, gates=config.gates, withdrawn=runtime.withdrawn, code_digest=digest
    )
    gate = ModelGate(
        evaluation=measured.outputs["evaluation"], model=trained.outputs["model"], settings=settings.model_dump_json()
    )
    return Judged(measured, gate)
