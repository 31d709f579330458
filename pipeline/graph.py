"""The whole pipeline on one screen."""

from __future__ import annotations

from tfx.orchestration.pipeline import Pipeline

from pipeline import stages
from pipeline.config import PipelineConfig
from pipeline.runtime import Runtime


def build_pipeline(config: PipelineConfig, runtime: Runtime) -> Pipeline:
    """Wire the stages.

    Args:
      config: what the pipeline does.
      runtime: where it will run.
    """
    data = stages.ingest(config, runtime)
    checked = stages.validate(data, config.schema_file, runtime)
    transformed = stages.transform(data, checked, config, runtime)
    tuned = stages.tune(transformed, config, runtime)
    best = stages.champion()
    trained = stages.train(transformed, tuned, best, config, runtime)
    judged = stages.evaluate(data, trained, best, config, runtime)
    edge = stages.compress(data, trained, transformed, config, runtime) if config.compression else None
    pushed = stages.push(trained, judged, edge, config, runtime)
    registered = stages.register(pushed, judged, config, runtime)
    compressors = [edge] if edge else []
    learnt = [data, *checked, transformed, *tuned.stages, best, trained, *judged]
    return runtime.pipeline(config.name, [*learnt, *compressors, *pushed, *registered])
