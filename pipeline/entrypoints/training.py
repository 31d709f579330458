"""run_fn: the entry point of the Trainer."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pydantic
import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.io import fileio
from tfx.utils import io_utils

from models import datasets, dealing, distribution, linear, metrics, training
from models.cluster import is_chief
from models.experiment import Experiment
from models.heads import Head
from models.tuning.space import apply
from pipeline.artifacts import keras_model_path, training_report_path
from pipeline.entrypoints import training_report as report
from pipeline.entrypoints import warm_starting
from pipeline.progress import announce
from preprocessing.features import Feature, Label, encoded_features, raw_columns, transformed_name
from preprocessing.labels import class_names

if TYPE_CHECKING:
    from models.checkpoints import Checkpoints
    from pipeline.components.trainer_executor import FnArgs

# Larger than for training: nothing is learned from a batch, and each costs a call.
EVALUATION_BATCH_SIZE = 4096


class TrainSettings(pydantic.BaseModel):
    """What the Trainer needs of the config; its cache key holds no more."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_module: str
    model: dict[str, Any]
    features: dict[str, Feature]
    label: Label
    fit: training.FitConfig
    metrics: tuple[str, ...]
    strategy: distribution.Kind
    devices: distribution.Devices = distribution.Devices()

    def tuned(self, hyperparameters: dict[str, Any] | None) -> TrainSettings:
        """Return the settings with what a search found: best_hyperparameters.txt, {"config_values": {place: value}}.

        Raises:
          ValueError: they do not fit this model, as those of a search for another one.
        """
        found = (hyperparameters or {}).get("config_values", {})
        try:
            sections = apply(found, {"model": self.model, "fit": self.fit.model_dump()})
            importlib.import_module(self.model_module).Config.model_validate(sections["model"])
            return self.model_copy(
                update={"model": sections["model"], "fit": training.FitConfig.model_validate(sections["fit"])}
            )
        except pydantic.ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ValueError(
                f"The hyperparameters {found} do not fit `model:` and `fit:`: {reasons}. Search anew with `tuner.reuse: never`."
            ) from error

    def head(self, transform: tft.TFTransformOutput) -> Head:
        """Return what the model ends in."""
        return Head(self.label.kind, len(class_names(self.label, transform)))

    def fitted_head(self, transform: tft.TFTransformOutput, train: tf.data.Dataset) -> Head:
        """Return the same with what it learns from the labels of the training split."""
        head = self.head(transform)
        if head.kind != "regression":
            return head
        offset, scale = datasets.label_moments(train)
        return dataclasses.replace(head, offset=offset, scale=scale)

    def example_spec(self, transform: tft.TFTransformOutput) -> datasets.ExampleSpec:
        """Return what the transformed examples hold."""
        label_dtype = tf.float32 if self.label.kind == "regression" else tf.int64
        return datasets.ExampleSpec(
            tuple(encoded_features(self.features, transform.vocabulary_size_by_name)),
            transformed_name(self.label.column),
            label_dtype,
        )

    def experiment(self, spec: datasets.ExampleSpec, head: Head) -> Experiment:
        """Return the training itself, apart from where its data lies."""
        return Experiment(self.model_module, self.model, self.fit, spec.features, head)


def run_fn(fn_args: FnArgs) -> None:
    """Train the model and the simple baseline; leave a SavedModel, a Keras model and a report in the Model artifact.

    Args:
      fn_args: TFX's, or those of them that ours has, with custom_config {"settings": TrainSettings as JSON}.
    """
    settings = TrainSettings.model_validate_json(fn_args.custom_config["settings"]).tuned(fn_args.hyperparameters)
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    spec = settings.example_spec(transform)

    seconds = report.Seconds()
    strategy, reason = distribution.choose(settings.strategy, settings.devices)
    with seconds.of("read"):
        examples = datasets.load(files_of(fn_args.train_files), spec)
        evaluation = datasets.read(files_of(fn_args.eval_files), spec, EVALUATION_BATCH_SIZE)
        head = settings.fitted_head(transform, examples.dataset(EVALUATION_BATCH_SIZE))
    meaning = warm_starting.meaning_of(settings.features, settings.label, transform)
    warm: dict[str, Any] = {}
    begin = warm_starting.beginning(settings.fit.warm_start, _earlier(fn_args), meaning, warm)
    # Beside each other: while Python traces the model's graph, NumPy has the baseline to solve.
    with ThreadPoolExecutor(1, "baseline") as beside:
        waiting = beside.submit(_fit_baseline, examples, evaluation, head, spec, settings, seconds)
        with seconds.of("fit"):
            checkpoints = _checkpoints(fn_args, strategy, settings.fit)
            scale = report.scale(reason, strategy, examples, settings.fit)
            callbacks = [training.tensorboard(fn_args.model_run_dir), checkpoints]
            model, history = settings.experiment(spec, head).train(examples, evaluation, strategy, callbacks, begin=begin)
        baseline = waiting.result()
    with seconds.of("export"):
        _export(model, transform, settings, fn_args.serving_model_dir)
        warm_starting.leave(meaning, _model_uri(fn_args.serving_model_dir))
    told = {
        **scale,
        **warm,
        "model": settings.model,
        "fit": settings.fit.model_dump(mode="json"),
        **report.course(history),
        "parameters": int(model.count_params()),
        **baseline,
        **report.pace(examples.num_examples, history, checkpoints, seconds),
    }
    io_utils.write_string_file(training_report_path(_model_uri(fn_args.serving_model_dir)), json.dumps(told, indent=1))


def _checkpoints(fn_args: FnArgs, strategy: tf.distribute.Strategy, fit: training.FitConfig) -> Checkpoints:
    """Return what saves the training and restores an interrupted one."""
    from models.checkpoints import Checkpoints, Policy  # not at the top: derives from Keras's classes

    # With other devices the numbers would be other ones.
    workers, gpus = dealing.share_of(strategy, 0).num_workers, len(tf.config.list_physical_devices("GPU"))
    folder = getattr(fn_args, "checkpoint_dir", os.path.join(fn_args.model_run_dir, "checkpoints"))  # TFX has none
    policy = Policy(fit.checkpoint_minutes, fit.checkpoint_steps, writes=is_chief())
    checkpoints = Checkpoints(os.path.join(folder, f"{strategy.num_replicas_in_sync}-{workers}-{gpus}"), policy)
    if saved := checkpoints.restored:
        within = f" and {saved.steps} steps" if saved.steps else ""
        announce(f"goes on after epoch {saved.epochs}{within} of an interrupted training")
    return checkpoints


def _fit_baseline(
    examples: datasets.Examples,
    evaluation: tf.data.Dataset,
    head: Head,
    spec: datasets.ExampleSpec,
    settings: TrainSettings,
    seconds: report.Seconds,
) -> dict[str, Any]:
    """Fit the simple baseline; return its part of the report."""
    with seconds.of("baseline"):
        sample = examples.dataset(EVALUATION_BATCH_SIZE, shuffle_seed=settings.fit.seed)
        simple = linear.fit(spec.features, head, *datasets.take(sample, linear.most_examples(head)))
        return {
            "simple_baseline": evaluate(simple.predict, evaluation, settings),
            "simple_baseline_fit": {"converged": simple.converged, "iterations": simple.num_iterations},
        }


def _export(model: tf.keras.Model, transform: tft.TFTransformOutput, settings: TrainSettings, serving_model_dir: str) -> None:
    """Leave the SavedModel for a server and the Keras model for compression."""
    from models import serving  # not at the top: derives from TensorFlow's classes, and the graph is built without them

    columns, classes = raw_columns(settings.features), class_names(settings.label, transform)
    serving.export(model, transform, columns, settings.label.column, classes, serving_model_dir)
    keras_file = keras_model_path(_model_uri(serving_model_dir))
    fileio.makedirs(os.path.dirname(keras_file))
    serving.save_keras(model, keras_file)


def _earlier(fn_args: FnArgs) -> str | None:
    return _model_uri(fn_args.base_model) if fn_args.base_model else None


def _model_uri(serving_model_dir: str) -> str:
    return os.path.dirname(serving_model_dir.rstrip("/"))


def evaluate(
    predict: Callable[[dict[str, np.ndarray]], np.ndarray], evaluation: tf.data.Dataset, settings: TrainSettings
) -> dict[str, float]:
    """Return the metrics over all batches of (features, label) of what gives (n, units) for {name: (n, width)}."""
    batches = [(label, predict(features)) for features, label in evaluation.as_numpy_iterator()]
    labels, scores = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return metrics.evaluate(settings.label.kind, settings.metrics, labels, scores)


def files_of(patterns: Sequence[str]) -> list[str]:
    """Return the files of patterns, local or remote."""
    return [path for pattern in patterns for path in fileio.glob(pattern)]
