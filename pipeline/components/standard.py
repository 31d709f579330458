"""TFX's own components with their executors named, not imported: a graph is built without what only a running stage needs.

The specifications are TFX's. What is left out are its classes, whose modules import TFX's executors, and with them TensorFlow,
Beam and TFDV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.components.base import base_component
from tfx.proto import trainer_pb2
from tfx.types import channel, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from pipeline.components.executors import ExecutorByPath


class Trainer(base_component.BaseComponent):
    """Calls a `run_fn` by its dotted name."""

    SPEC_CLASS = standard_component_specs.TrainerSpec
    EXECUTOR_SPEC = ExecutorByPath("pipeline.components.trainer_executor.Executor")

    def __init__(
        self,
        run_fn: str,
        examples: channel.Channel,
        transform_graph: channel.Channel,
        custom_config: Mapping[str, Any],
        train_splits: Sequence[str],
        eval_splits: Sequence[str],
        hyperparameters: channel.Channel | None = None,
        base_model: channel.Channel | None = None,
    ):
        """Train on transformed examples.

        Args:
          run_fn: dotted name of a function that takes TFX's FnArgs.
          examples: transformed.
          transform_graph: that made them.
          custom_config: for `run_fn`, as JSON can say it.
          train_splits: to train on.
          eval_splits: to evaluate on.
          hyperparameters: that a Tuner found.
          base_model: whose weights the training begins with; there need not be one.
        """
        spec = standard_component_specs.TrainerSpec(
            examples=examples,
            transform_graph=transform_graph,
            hyperparameters=hyperparameters,
            base_model=base_model,
            run_fn=run_fn,
            train_args=trainer_pb2.TrainArgs(splits=train_splits),
            eval_args=trainer_pb2.EvalArgs(splits=eval_splits),
            custom_config=json_utils.dumps(dict(custom_config)),
            model=channel.Channel(type=standard_artifacts.Model),
            model_run=channel.Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)


class ExampleValidator(base_component.BaseComponent):
    """Compares statistics with a schema and writes down the anomalies."""

    SPEC_CLASS = standard_component_specs.ExampleValidatorSpec
    EXECUTOR_SPEC = ExecutorByPath("tfx.components.example_validator.executor.Executor")

    def __init__(self, statistics: channel.Channel, schema: channel.Channel):
        """Compare every split."""
        spec = standard_component_specs.ExampleValidatorSpec(
            statistics=statistics,
            schema=schema,
            exclude_splits=json_utils.dumps([]),
            anomalies=channel.Channel(type=standard_artifacts.ExampleAnomalies),
        )
        super().__init__(spec=spec)
