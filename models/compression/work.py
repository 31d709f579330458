"""What the process of a job does. Runs in a child of the workshop: whatever happens here costs one variant at most."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models import datasets, serving, training
from models.compression import packed_embedding, quantization  # noqa: F401 - a saved model may hold the layer
from models.compression.evidence import check_kept, check_quantized, compacted, examine
from models.compression.layers import kernels
from models.compression.packing import Layout
from models.compression.plan import (
    KERAS_FILE,
    KERNELS_FILE,
    LAYOUT_FILE,
    NOTES_FILE,
    SAVED_MODEL,
    Job,
    Plan,
    Problem,
    StepJob,
    TimingJob,
    VariantJob,
)
from models.compression.retraining import Trainer
from models.compression.steps import STEPS, Candidate
from models.compression.tflite import EdgeModel, arena_bytes

_TIMING_TURNS, _TIMING_BATCH = 10, 256
_TURN_SECONDS, _SAMPLE_SECONDS, _MOST_SAMPLES, _MOST_RUNS = 0.1, 5e-4, 20, 20
_RAW_BATCH = 1024
Announce = Callable[[str], None]
MODEL_FILE, SCORES_FILE, INPUTS_FILE, FACTS_FILE = "model.tflite", "scores.npy", "inputs.npz", "facts.json"
TIMES_FILE = "times.json"


def perform(job: Job, plan: Plan, announce: Announce) -> None:
    """Do a job and leave its results in its folder.

    Args:
      job: one of the plan's.
      plan: with the folders of the jobs it needs.
      announce: takes a line for whoever watches.

    Raises:
      ValueError: the technique cannot do what was asked, or did nothing.
    """
    training.make_deterministic(plan.problem.fit.seed, plan.problem.fit.deterministic)
    os.makedirs(plan.path(job.name))
    if isinstance(job, StepJob):
        _perform_step(job, plan, announce)
    elif isinstance(job, VariantJob):
        _perform_variant(job, plan, announce)
    elif isinstance(job, TimingJob):
        announce(job.title)
        _write_json(plan.path(job.name, TIMES_FILE), _times(job, plan))


def _perform_step(job: StepJob, plan: Plan, announce: Announce) -> None:
    if job.step is None:
        _leave(job, plan, Candidate(serving.load_keras(plan.problem.model), Layout(), {}))
        return
    (parent,) = job.needs
    candidate = Candidate(
        serving.load_keras(plan.path(parent, KERAS_FILE)), read_layout(plan, parent), _read_json(plan.path(parent, NOTES_FILE))
    )
    trainer = _trainer(job, plan, candidate.layout, announce)
    _leave(job, plan, STEPS[job.step.kind](candidate, job, plan, trainer))


def _leave(job: StepJob, plan: Plan, candidate: Candidate) -> None:
    if not candidate.final:
        candidate.model.save(plan.path(job.name, KERAS_FILE))
    serving.export_function(*serving.inference_function(candidate.model), plan.path(job.name, SAVED_MODEL))
    np.savez(plan.path(job.name, KERNELS_FILE), **kernels(candidate.model))
    _write_json(plan.path(job.name, LAYOUT_FILE), {"numbers": candidate.layout.numbers, "ids": candidate.layout.ids})
    _write_json(plan.path(job.name, NOTES_FILE), candidate.notes)


def _trainer(job: StepJob, plan: Plan, layout: Layout, announce: Announce) -> Trainer:
    problem, fit = plan.problem, plan.problem.fit

    def packed(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.map(lambda x, y: (layout.pack(x), y)) if layout.inputs else dataset

    callbacks = [_Announcer(job.title, announce), training.tensorboard(plan.path(job.name))]
    return Trainer(
        packed(problem.train.dataset(fit.batch_size, fit.seed)),
        packed(problem.evaluation.dataset(fit.batch_size)),
        problem.head,
        fit,
        callbacks,
    )


class _Announcer(keras.callbacks.Callback):
    def __init__(self, title: str, announce: Announce):
        super().__init__()
        self._title, self._announce = title, announce

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        losses = f"loss {logs['loss']:.4f}, eval loss {logs['val_loss']:.4f}" if logs else ""
        self._announce(f"{self._title}, epoch {epoch + 1}/{self.params['epochs']}, {losses}")


def _perform_variant(job: VariantJob, plan: Plan, announce: Announce) -> None:
    (parent,) = job.needs
    layout, notes = read_layout(plan, parent), _read_json(plan.path(parent, NOTES_FILE))
    announce(job.title)
    features = plan.problem.evaluation.features
    config = plan.config.representative
    representative: dict[str, np.ndarray] = {}
    if job.conversion.step and job.conversion.step.kind in quantization.CALIBRATED and not job.conversion.trained:
        examples, _ = datasets.take(plan.problem.train.dataset(512, config.seed), config.num_examples)
        representative = layout.pack(examples) if layout.inputs else examples
    content = quantization.convert(plan.path(parent, SAVED_MODEL), job.conversion, representative)
    with np.load(plan.path(parent, KERNELS_FILE)) as saved:
        weights = dict(saved)
    evidence, left = examine(content, weights), notes.get("left_in_float", ())
    check_quantized(evidence, job.conversion, left, weights.keys() - set(left))
    check_kept(evidence, notes)
    if job.compact:
        content = compacted(content)
    if layout.inputs:
        features = layout.pack(features)
    facts: dict[str, Any] = {"left_in_float": notes.get("left_in_float", []), "layout": layout.inputs}
    if job.raw:
        behind = EdgeModel(content).predict(features)
        content, features = _with_transform(content, layout, plan.problem)
    scores = _measure(job.name, plan, content, features)
    if job.raw:
        difference = np.abs(scores.astype(np.float64) - behind)
        facts["parity"] = {"mean": float(difference.mean()), "largest": float(difference.max())}
    facts |= {"arena_bytes": arena_bytes(content), "interface": EdgeModel(content).describe()}
    _write_json(plan.path(job.name, FACTS_FILE), examine(content, weights).to_dict() | facts)


def _measure(name: str, plan: Plan, content: bytes, features: dict[str, np.ndarray]) -> np.ndarray:
    """Leave the flatbuffer, some inputs to time it with, and its scores (n, units), which are returned."""
    with open(plan.path(name, MODEL_FILE), "wb") as file:
        file.write(content)
    first = {feature: x[:_TIMING_BATCH] for feature, x in features.items()}
    np.savez(
        plan.path(name, INPUTS_FILE), **{feature: x.astype(bytes) if x.dtype == object else x for feature, x in first.items()}
    )
    scores = EdgeModel(content).predict(features)
    np.save(plan.path(name, SCORES_FILE), scores)
    return scores


def _with_transform(content: bytes, layout: Layout, problem: Problem) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a flatbuffer with the transform in front, and the raw columns of the eval split {column: (n, 1)}."""
    # Only these jobs need the transform library, and importing it takes seconds.
    import tensorflow_transform as tft

    from models.compression import raw_features

    if problem.raw is None:
        raise ValueError("`inputs: raw`: there is no transform graph to put into the model.")
    transform = tft.TFTransformOutput(problem.raw.transform_graph)
    front = raw_features.raw_transform(transform, problem.features, layout.pack if layout.inputs else dict)
    content = compacted(raw_features.joined(front, content))
    columns = EdgeModel(content).input_names
    batches = [
        raw_features.raw_columns(list(records.numpy()), transform, columns)
        for records in datasets.serialized(problem.raw.files, _RAW_BATCH)
    ]
    return content, {name: np.concatenate([batch[name] for batch in batches]) for name in columns}


def _times(job: TimingJob, plan: Plan) -> dict[str, dict[str, float]]:
    """Return {variant job: median latency of one example in microseconds, rows per second in batches}, on one thread.

    The variants take turns, so that what else the machine does meets all of them.
    """
    models, inputs = {}, {}
    for name in job.timed:
        with open(plan.path(name, MODEL_FILE), "rb") as file:
            models[name] = EdgeModel(file.read())
        with np.load(plan.path(name, INPUTS_FILE)) as rows:
            inputs[name] = dict(rows)
    samples: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(_TIMING_TURNS + 1):
        for name, model in models.items():
            measured = _turn(model, {feature: x[:1] for feature, x in inputs[name].items()})
            samples[name] += measured if turn else []  # the first turn warms up
    return {
        name: {"latency_us": float(np.median(samples[name]) * 1e6), "rows_per_second": _throughput(model, inputs[name])}
        for name, model in models.items()
    }


def _turn(model: EdgeModel, one: dict[str, np.ndarray]) -> list[float]:
    """Return some samples of the seconds of an inference; a slow model gets fewer, a fast one is run often for each."""
    seconds = max(model.seconds(one, 1), 1e-7)
    runs = min(_MOST_RUNS, max(1, round(_SAMPLE_SECONDS / seconds)))
    samples = min(_MOST_SAMPLES, max(1, round(_TURN_SECONDS / (runs * seconds))))
    return [model.seconds(one, runs) for _ in range(samples)]


def _throughput(model: EdgeModel, inputs: dict[str, np.ndarray]) -> float:
    size = len(next(iter(inputs.values()))) if model.resizable else 1
    seconds = model.seconds({name: x[:size] for name, x in inputs.items()}, 20)
    return size / seconds


def read_layout(plan: Plan, job: str) -> Layout:
    """Return the layout of a step's model."""
    values = _read_json(plan.path(job, LAYOUT_FILE))
    return Layout(tuple(values["numbers"]), tuple(values["ids"]))


def _read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _write_json(path: str, values: Any) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
