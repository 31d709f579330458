"""TFX's own Evaluator, for `--engine beam`."""

from __future__ import annotations

from tfx.components.evaluator.component import Evaluator

from pipeline.components.executors import BeamExecutorByPath


class EvaluatorOnBeam(Evaluator):
    """Measures the candidate and the latest blessed model with TFMA."""

    EXECUTOR_SPEC = BeamExecutorByPath("pipeline.components.evaluator_on_beam_executor.Executor")
