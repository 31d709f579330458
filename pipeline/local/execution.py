"""Runs a compiled pipeline's stages with TFX's own launcher, and says truly what became of each."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import base_executor_operator, data_types, launcher, runtime_parameter_utils
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2, pipeline_pb2

from pipeline.local import contents, disk
from pipeline.local.causes import cause_of
from pipeline.local.recovery import forget_checkpoints
from pipeline.local.results import StageResult, State
from pipeline.local.selection import Selection
from pipeline.local.stage_processes import StageFailedError, StageProcesses
from pipeline.local.stage_server import StageRequest


class CompiledPipeline:
    """A pipeline as TFX's intermediate representation."""

    def __init__(
        self,
        pipeline: Pipeline,
        run_id: str,
        processes: StageProcesses | None = None,
        log: str = os.devnull,
        lock: str = os.devnull,
    ):
        """Compile.

        Args:
          pipeline: as `build_pipeline` gives it.
          run_id: unique.
          processes: run the executors; None: this process does.
          log: path of the file that executors in other processes write to.
          lock: path of the file that they hold while they work.
        """
        self._processes, self._log, self._lock = processes, log, lock
        self.selection = Selection()
        self._ir: pipeline_pb2.Pipeline = compiler.Compiler().compile(pipeline)
        runtime_parameter_utils.substitute_runtime_parameter(self._ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
        self._deployment = runner_utils.extract_local_deployment_config(self._ir)
        config = self._deployment.metadata_connection_config
        self.metadata_config = getattr(config, config.WhichOneof("connection_config"))
        self._nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in self._ir.nodes}

    def apply(self, selection: Selection) -> None:
        """Have some stages run anew, and others not at all."""
        self.selection = selection
        for stage_id in selection.anew:
            self._nodes[stage_id].execution_options.caching_options.enable_cache = False

    @property
    def stage_ids(self) -> list[str]:
        """The stages, each after those it needs."""
        return list(self._nodes)

    @property
    def needs(self) -> dict[str, set[str]]:
        """{stage: the stages it waits for}."""
        return {stage_id: set(node.upstream_nodes) for stage_id, node in self._nodes.items()}

    def launch(self, stage_id: str, doing: Callable[[str], None] = lambda text: None) -> StageResult:
        """Run or reuse a stage; any error becomes a failed result. May be called from several threads for several stages.

        Args:
          stage_id: which.
          doing: is called with what the stage says while it works.
        """
        start = time.monotonic()
        operators, waits = {}, [0.0]
        if self._processes:
            asked = functools.partial(self._run_executor, stage_id, self._processes, doing, waits.append)
            own = functools.partial(_InItsOwnProcess, run=asked)
            operators = dict.fromkeys(_InItsOwnProcess.SUPPORTED_EXECUTOR_SPEC_TYPE, own)
        try:
            info = launcher.Launcher(
                pipeline_node=self._nodes[stage_id],
                mlmd_connection=_OneThreadAtATime(self.metadata_config),
                pipeline_info=self._ir.pipeline_info,
                pipeline_runtime_spec=self._ir.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(self._deployment, stage_id),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(self._deployment, stage_id),
                custom_executor_operators=operators,
            ).launch()
        except Exception as error:  # whatever a stage raises is that stage's failure
            told = isinstance(error, StageFailedError)  # by its process, in the same log
            logging.error("Stage %s failed:\n%s", stage_id, error if told else traceback.format_exc())
            return StageResult(stage_id, "failed", time.monotonic() - start, cause_of(error))
        seconds = time.monotonic() - start - sum(waits)
        execution_id = info.execution_id if info else None
        state = self._state(execution_id)
        if state == "ran":
            forget_checkpoints(Path(self._ir.runtime_spec.pipeline_root.field_value.string_value), [stage_id])
        # TFX's launcher returns without an error when inputs cannot be resolved: only ML Metadata tells.
        unresolved = f"The inputs of {stage_id} could not be resolved; the log says which."
        return StageResult(stage_id, state, seconds, unresolved if state == "failed" else None, execution_id)

    def _run_executor(
        self,
        stage_id: str,
        processes: StageProcesses,
        doing: Callable[[str], None],
        waited: Callable[[float], None],
        info: data_types.ExecutionInfo,
        spec: Any,
    ) -> execution_result_pb2.ExecutorOutput:
        """Run an executor in a process of its own; record what its outputs hold.

        Raises:
          StageFailedError: it failed, crashed or was stopped, or the user said that it must not run.
          DiskFullError: there is no room for its outputs.
        """
        if stage_id in self.selection.only_reused:
            raise StageFailedError(
                f"{stage_id} comes before the stage to begin with, and cannot be reused: it has not run with this data, "
                f"config, code and blessed model. Leave out --from or --only, or begin with it: --from {stage_id}."
            )
        disk.check_space(stage_id, info)
        on_beam = isinstance(spec, executable_spec_pb2.BeamExecutableSpec)
        class_path = (spec.python_executor_spec if on_beam else spec).class_path
        request = StageRequest(
            stage_id=stage_id,
            execution=info.to_proto().SerializeToString(),
            spec=spec.SerializeToString(),
            on_beam=on_beam,
            module=class_path.rpartition(".")[0],
            log=self._log,
            lock=self._lock,
            tmp_dir=info.tmp_dir,
        )
        serialized, seconds = processes.run(request, doing)
        waited(seconds)
        output = execution_result_pb2.ExecutorOutput.FromString(serialized)
        for artifacts in output.output_artifacts.values():
            for artifact in artifacts.artifacts:
                contents.record(artifact)
        return output

    def _state(self, execution_id: int | None) -> State:
        if not execution_id:
            return "failed"
        with _OneThreadAtATime(self.metadata_config) as handle:
            (execution,) = handle.store.get_executions_by_id([execution_id])
        states: dict[int, State] = {mlmd.Execution.COMPLETE: "ran", mlmd.Execution.CACHED: "reused"}
        return states.get(execution.last_known_state, "failed")


class _InItsOwnProcess(base_executor_operator.BaseExecutorOperator):
    """Has an executor run where it can crash alone."""

    SUPPORTED_EXECUTOR_SPEC_TYPE = [executable_spec_pb2.PythonClassExecutableSpec, executable_spec_pb2.BeamExecutableSpec]
    SUPPORTED_PLATFORM_CONFIG_TYPE: list[type] = []

    def __init__(self, executor_spec: Any, platform_config: Any = None, *, run: Callable):
        super().__init__(executor_spec, platform_config)
        self._run = run

    def run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        """Run it and wait."""
        return self._run(execution_info, self._executor_spec)


class _OneThreadAtATime(metadata.Metadata):
    """ML Metadata for stages that run side by side: SQLite takes one writer, and turns the second away after a while."""

    _lock = threading.RLock()

    def __enter__(self) -> metadata.Metadata:
        self._lock.acquire()
        try:
            return super().__enter__()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)
        finally:
            self._lock.release()
