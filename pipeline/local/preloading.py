"""What the servers of stages import ahead, and in which order."""

from __future__ import annotations

import gc
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipeline import lean_imports


@dataclass(frozen=True)
class Step:
    """A part of the imports.

    Attributes:
      stages: modules of executors that can run once this step is through.
      modules: what else is imported.
      before: is called first.
    """

    stages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    before: Callable[[], None] | None = None

    def take(self) -> None:
        """Import. What cannot be imported is for the stage that needs it to complain about."""
        gc.disable()  # imports leave hardly any garbage, and looking for it takes a tenth of their time
        try:
            if self.before:
                self.before()
            for module in (*self.modules, *self.stages):
                importlib.import_module(module)
        except Exception:
            logging.exception("An import ahead of the stages failed.")
        finally:
            gc.enable()


_EVERY_STAGE = ("pipeline.artifacts", "tfx.orchestration.portable.python_executor_operator")

# Looks at raw data, and moves finished models, without TensorFlow.
LIGHT = (
    Step(("pipeline.components.example_gen_executor",), _EVERY_STAGE),
    Step(before=lean_imports.read_beam_classes),  # which TFDV's statistics derive from
    Step(
        (
            "pipeline.components.statistics_gen",
            "pipeline.components.example_validator_executor",
            "pipeline.components.schema",
            "pipeline.components.schema_gen_executor",
            "pipeline.components.data_gate",
        ),
        ("pipeline.columnar.statistics",),
    ),
    Step(("pipeline.components.model_gate", "pipeline.components.publisher"), ("pipeline.evaluation",)),
)
HEAVY = (
    Step(before=lean_imports.read_tensorflow),
    Step(
        ("pipeline.components.transform",),
        (*_EVERY_STAGE, "pipeline.columnar.transforming", "pipeline.entrypoints.transforming", "preprocessing.tabular"),
    ),
    Step(
        ("pipeline.components.trainer_executor",),
        (
            "pipeline.entrypoints.training",
            "models.tabular",
            "models.checkpoints",
            "models.optimizers",
            "models.randomness",
            "models.serving",
            "models.linear",
            "scipy.optimize",
            "scipy.sparse",
        ),
    ),
    Step(
        ("pipeline.components.evaluator", "pipeline.components.compressor_executor"),
        ("pipeline.columnar.evaluating", "pipeline.evaluation", "pandas"),  # which pyarrow asks for
    ),
)
# For stages on Beam that none of the steps names, TFX's own. Others do without it: it takes seconds, and memory.
ON_BEAM = Step(before=lean_imports.read_beam, modules=("tfx.orchestration.portable.beam_executor_operator",))
LIGHT_STAGES = frozenset(module for step in LIGHT for module in step.stages)
