"""Runs a compiled pipeline stage by stage with TFX's own launcher, and says truly what became of it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from pipeline.errors import PipelineError

State = Literal["ran", "reused", "failed", "not_reached"]


@dataclass(frozen=True)
class StageResult:
    """What became of a stage. `error` is its innermost cause; `execution_id` is ML Metadata's, None when there is none."""

    id: str
    state: State
    seconds: float = 0.0
    error: str | None = None
    execution_id: int | None = None

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["execution_id"]
        return values | {"seconds": round(self.seconds, 2)}


class CompiledPipeline:
    """A pipeline as TFX's intermediate representation."""

    def __init__(self, pipeline: Pipeline, run_id: str, run_anew: Sequence[str] = ()):
        """Compile.

        Args:
          pipeline: as `build_pipeline` gives it.
          run_id: unique.
          run_anew: stages that must not be reused.
        """
        self._ir: pipeline_pb2.Pipeline = compiler.Compiler().compile(pipeline)
        runtime_parameter_utils.substitute_runtime_parameter(self._ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
        self._deployment = runner_utils.extract_local_deployment_config(self._ir)
        config = self._deployment.metadata_connection_config
        self.metadata_config = getattr(config, config.WhichOneof("connection_config"))
        self._nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in self._ir.nodes}
        for stage_id in set(run_anew) & set(self._nodes):
            self._nodes[stage_id].execution_options.caching_options.enable_cache = False

    @property
    def stage_ids(self) -> list[str]:
        """The stages, each after those it needs."""
        return list(self._nodes)

    def launch(self, stage_id: str) -> StageResult:
        """Run or reuse a stage. An interrupt passes through; any other error becomes a failed result."""
        start = time.monotonic()
        try:
            info = launcher.Launcher(
                pipeline_node=self._nodes[stage_id],
                mlmd_connection=metadata.Metadata(self.metadata_config),
                pipeline_info=self._ir.pipeline_info,
                pipeline_runtime_spec=self._ir.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(self._deployment, stage_id),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(self._deployment, stage_id),
            ).launch()
        except Exception as error:  # whatever a stage raises is that stage's failure
            logging.error("Stage %s failed:\n%s", stage_id, traceback.format_exc())
            return StageResult(stage_id, "failed", time.monotonic() - start, cause_of(error))
        seconds = time.monotonic() - start
        execution_id = info.execution_id if info else None
        state = self._state(execution_id)
        # TFX's launcher returns without an error when inputs cannot be resolved: only ML Metadata tells.
        unresolved = f"The inputs of {stage_id} could not be resolved; the log says which."
        return StageResult(stage_id, state, seconds, unresolved if state == "failed" else None, execution_id)

    def _state(self, execution_id: int | None) -> State:
        if not execution_id:
            return "failed"
        with metadata.Metadata(self.metadata_config) as handle:
            (execution,) = handle.store.get_executions_by_id([execution_id])
        states: dict[int, State] = {mlmd.Execution.COMPLETE: "ran", mlmd.Execution.CACHED: "reused"}
        return states.get(execution.last_known_state, "failed")


def cause_of(error: BaseException) -> str:
    """Return what a user should read of an error: the project's own sentence if there is one, otherwise the innermost cause."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for link in chain:
        if isinstance(link, PipelineError):
            return str(link)
    # Beam adds where it was to the text of what it passes on.
    text = str(chain[-1]).split(" [while running")[0].strip()
    name = type(chain[-1]).__name__
    return f"{name}: {text}" if text else name
