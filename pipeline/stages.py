"""One function per stage: each gives the TFX components it is made of."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import pydantic
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.proto import transform_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import HyperParameters, Model, ModelBlessing, TunerResults

from pipeline.artifacts import EXAMPLE_GEN, LATEST_SEARCH, TUNER
from pipeline.code_digest import code_digest
from pipeline.components import (
    compressor,
    data_gate,
    example_gen,
    example_validator,
    model_gate,
    publisher,
    registrar,
    schema,
    schema_gen,
    statistics_gen,
    tuner,
)
from pipeline.components import evaluator as evaluator_component
from pipeline.components import transform as transform_component
from pipeline.components.compressor import Compressor, CompressSettings
from pipeline.components.data_gate import DataGate
from pipeline.components.evaluator import ColumnarEvaluator, EvaluatorSettings
from pipeline.components.example_validator import ColumnarExampleValidator
from pipeline.components.model_gate import ModelGate
from pipeline.components.publisher import EdgePusher
from pipeline.components.registrar import ModelRegistry
from pipeline.components.schema import CuratedSchema
from pipeline.components.schema_gen import InferredSchema
from pipeline.components.standard import ExampleValidator, Trainer
from pipeline.components.statistics_gen import ColumnarStatisticsGen
from pipeline.components.trainer_executor import WORKERS
from pipeline.components.transform import ColumnarTransform, ColumnarTransformSettings
from pipeline.config import PipelineConfig
from pipeline.data_config import BigQueryData, FileData
from pipeline.entrypoints import training, transforming
from pipeline.entrypoints.training import TrainSettings
from pipeline.entrypoints.transforming import TransformSettings
from pipeline.ingest.settings import ingest_settings
from pipeline.ingest.source import base_and_pattern
from pipeline.runtime import Runtime
from pipeline.tasks import TASKS

TRAIN: Literal["train"] = "train"
EVAL: Literal["eval"] = "eval"
# As TFX names its own components for them.
STATISTICS, EXAMPLE_VALIDATOR = "StatisticsGen", "ExampleValidator"
SCHEMA_GEN, TRANSFORM, EVALUATOR = "SchemaGen", "Transform", "Evaluator"


class Checked(NamedTuple):
    """The stages of validation; `schema` and `gate` are what later stages need."""

    statistics: BaseComponent
    schema: BaseComponent
    validator: BaseComponent
    gate: BaseComponent


class Judged(NamedTuple):
    """The stages of evaluation."""

    evaluator: BaseComponent
    gate: BaseComponent


class Tuned(NamedTuple):
    """The stage that knows the best hyperparameters, if there is one."""

    stages: tuple[BaseNode, ...]
    hyperparameters: Channel | None


def ingest(config: PipelineConfig, runtime: Runtime) -> BaseComponent:
    """Read the data, set unusable rows aside, split."""
    if isinstance(config.data, BigQueryData):
        from pipeline.components import bigquery  # takes seconds, and files need it not

        return bigquery.example_gen(config.data).with_id(EXAMPLE_GEN)
    return _ingest_files(config, config.data, runtime).with_id(EXAMPLE_GEN)


def _ingest_files(config: PipelineConfig, data: FileData, runtime: Runtime) -> example_gen.ColumnarExampleGen:
    base, pattern = base_and_pattern(runtime.data_path(data.path), data.kind)
    settings = ingest_settings(data, config.label, config.number_columns)
    return example_gen.file_based(base, pattern, settings, code_digest(example_gen), data.span)


def validate(data: BaseComponent, schema_file: str | None, runtime: Runtime) -> Checked:
    """Compare the data with the schema and stop on anomalies. Without a schema file one is inferred, for a first look."""
    if runtime.engine == "beam":
        from tfx.components.statistics_gen.component import StatisticsGen  # takes seconds, and columnar runs need it not

        statistics: BaseComponent = StatisticsGen(examples=data.outputs["examples"])
    else:
        statistics = ColumnarStatisticsGen(data.outputs["examples"], code_digest(statistics_gen)).with_id(STATISTICS)
    if schema_file:
        file = Path(schema_file)
        schema_stage = CuratedSchema(text=file.read_text("utf-8"), source=file.name, code_digest=code_digest(schema))
    else:
        digest = code_digest(schema_gen.EXECUTOR_MODULE)
        schema_stage = InferredSchema(statistics.outputs["statistics"], digest).with_id(SCHEMA_GEN)
    described = statistics.outputs["statistics"], schema_stage.outputs["schema"]
    if runtime.engine == "beam":
        validator: BaseComponent = ExampleValidator(*described)
    else:
        digest = code_digest(example_validator.EXECUTOR_MODULE)
        validator = ColumnarExampleValidator(*described, digest).with_id(EXAMPLE_VALIDATOR)
    gate = DataGate(anomalies=validator.outputs["anomalies"], code_digest=code_digest(data_gate))
    return Checked(statistics, schema_stage, validator, gate)


def transform(data: BaseComponent, checked: Checked, config: PipelineConfig, runtime: Runtime) -> BaseComponent:
    """Learn the transform on the training split and apply it to both. Waits for the data gate."""
    module = TASKS[config.task].transform
    settings = TransformSettings(transform_module=module.__name__, features=config.features, label=config.label)
    if runtime.engine == "beam":
        stage = _transform_on_beam(data, checked, settings, module)
    else:
        columnar = ColumnarTransformSettings(
            transform=settings,
            analyzed=(TRAIN,),
            transformed=(TRAIN, EVAL),
            code_digest=code_digest(transform_component, module),
        )
        stage = ColumnarTransform(data.outputs["examples"], checked.schema.outputs["schema"], columnar).with_id(TRANSFORM)
    stage.add_upstream_node(checked.gate)
    return stage


def _transform_on_beam(data: BaseComponent, checked: Checked, settings: TransformSettings, module: ModuleType) -> BaseComponent:
    from tfx.components.transform.component import Transform

    return Transform(
        examples=data.outputs["examples"],
        schema=checked.schema.outputs["schema"],
        preprocessing_fn=_dotted(transforming, transforming.preprocessing_fn),
        splits_config=transform_pb2.SplitsConfig(analyze=[TRAIN], transform=[TRAIN, EVAL]),
        custom_config=_custom(settings, transforming, module),
        # Statistics of raw data are StatisticsGen's; nobody reads those of transformed data.
        disable_statistics=True,
    )


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
        **_train_settings(config, runtime),
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
    settings = TrainSettings(**_train_settings(config, runtime))
    return Trainer(
        run_fn=_dotted(training, training.run_fn),
        examples=transformed.outputs["transformed_examples"],
        transform_graph=transformed.outputs["transform_graph"],
        custom_config=_custom(settings, training, TASKS[config.task].model)
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
        from tfx.components.evaluator.component import Evaluator

        from pipeline.evaluation import eval_config

        measured: BaseComponent = Evaluator(**inputs, example_splits=[EVAL], eval_config=eval_config(*asked))
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


def compress(
    data: BaseComponent, trained: Trainer, transformed: BaseComponent, config: PipelineConfig, runtime: Runtime
) -> Compressor:
    """Make, measure and gate the edge variants."""
    settings = CompressSettings(
        **_train_settings(config, runtime),
        compression=config.compression,
        slices=config.evaluation.slices,
        code_digest=code_digest(compressor.EXECUTOR_MODULE, TASKS[config.task].model),
    )
    return Compressor(
        model=trained.outputs["model"],
        examples=transformed.outputs["transformed_examples"],
        raw_examples=data.outputs["examples"],
        transform_graph=transformed.outputs["transform_graph"],
        settings=settings,
    )


def push(
    trained: Trainer, judged: Judged, edge: Compressor | None, config: PipelineConfig, runtime: Runtime
) -> list[BaseComponent]:
    """Push the blessed models: the SavedModel for a server and, if there is one, the edge package."""
    digest = code_digest(publisher)
    server, device = (
        publisher.Target(f"{runtime.push_folder(config.name)}/{kind}", runtime.newest_version(kind))
        for kind in ("saved_model", "edge")
    )
    model, blessing = trained.outputs["model"], judged.gate.outputs["blessing"]
    if not edge or not config.compression:
        return [publisher.model_pusher(model, blessing, server, digest)]
    needed = edge.outputs["blessing"] if config.compression.server_needs_edge else None
    return [
        publisher.model_pusher(model, blessing, server, digest, needed),
        EdgePusher(edge.outputs["edge_model"], blessing, device, digest),
    ]


def register(pushed: list[BaseComponent], judged: Judged, config: PipelineConfig, runtime: Runtime) -> list[BaseComponent]:
    """Have the pushed SavedModel be a version of a model registry, where the runtime has one."""
    if not runtime.registry:
        return []
    settings = registrar.register_settings(runtime.registry, config.name, config.digest)
    return [ModelRegistry(pushed[0].outputs["pushed_model"], judged.gate.outputs["report"], settings)]


def _train_settings(config: PipelineConfig, runtime: Runtime) -> dict[str, Any]:
    return {
        "model_module": TASKS[config.task].model.__name__,
        "model": config.model.model_dump(mode="json"),
        "features": config.features,
        "label": config.label,
        "fit": config.fit,
        "metrics": config.metrics,
        "strategy": runtime.training_strategy,
        "devices": runtime.devices,
    }


def _custom(settings: pydantic.BaseModel, *modules: ModuleType) -> dict[str, str]:
    return {"settings": settings.model_dump_json(), "code_digest": code_digest(*modules)}


def _dotted(module: ModuleType, function: Any) -> str:
    return f"{module.__name__}.{function.__name__}"
