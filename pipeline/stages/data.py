"""Stages of the data: read, validate, transform."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import transform_pb2

from pipeline.artifacts import EXAMPLE_GEN
from pipeline.code_digest import code_digest
from pipeline.components import data_gate, example_gen, example_validator, schema, schema_gen, statistics_gen
from pipeline.components import transform as transform_component
from pipeline.components.data_gate import DataGate
from pipeline.components.example_validator import ColumnarExampleValidator
from pipeline.components.schema import CuratedSchema
from pipeline.components.schema_gen import InferredSchema
from pipeline.components.standard import ExampleValidator
from pipeline.components.statistics_gen import ColumnarStatisticsGen
from pipeline.components.transform import ColumnarTransform, ColumnarTransformSettings
from pipeline.config import PipelineConfig
from pipeline.data_config import BigQueryData, FileData
from pipeline.entrypoints import transforming
from pipeline.entrypoints.transforming import TransformSettings
from pipeline.ingest.settings import ingest_settings
from pipeline.ingest.source import base_and_pattern
from pipeline.runtime import Runtime
from pipeline.stages.settings import EVAL, TRAIN, custom_config, dotted
from pipeline.tasks import TASKS

# As TFX names its own components for them.
STATISTICS, EXAMPLE_VALIDATOR, SCHEMA_GEN, TRANSFORM = "StatisticsGen", "ExampleValidator", "SchemaGen", "Transform"


class Checked(NamedTuple):
    """The stages of validation; `schema` and `gate` are what later stages need."""

    statistics: BaseComponent
    schema: BaseComponent
    validator: BaseComponent
    gate: BaseComponent


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
        preprocessing_fn=dotted(transforming, transforming.preprocessing_fn),
        splits_config=transform_pb2.SplitsConfig(analyze=[TRAIN], transform=[TRAIN, EVAL]),
        custom_config=custom_config(settings, transforming, module),
        # Statistics of raw data are StatisticsGen's; nobody reads those of transformed data.
        disable_statistics=True,
    )
