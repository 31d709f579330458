"""Stages of what is delivered: compress, push, register."""

from __future__ import annotations

from tfx.dsl.components.base.base_component import BaseComponent

from pipeline.code_digest import code_digest
from pipeline.components import compressor, publisher, registrar
from pipeline.components.compressor import Compressor, CompressSettings
from pipeline.components.publisher import EdgePusher
from pipeline.components.registrar import ModelRegistry
from pipeline.components.standard import Trainer
from pipeline.config import PipelineConfig
from pipeline.runtime import Runtime
from pipeline.stages.model import Judged
from pipeline.stages.settings import train_settings
from pipeline.tasks import TASKS


def compress(
    data: BaseComponent, trained: Trainer, transformed: BaseComponent, config: PipelineConfig, runtime: Runtime
) -> Compressor:
    """Make, measure and gate the edge variants."""
    settings = CompressSettings(
        **train_settings(config, runtime),
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
