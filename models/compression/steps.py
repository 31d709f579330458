"""One thin adapter per step: from a candidate to the next one. The work is in each technique's own module."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pydantic
import tf_keras as keras

from models.compression import clustering, distillation, packing, pruning, quantization_aware
from models.compression.packing import Layout
from models.compression.plan import Plan, Problem, StepJob
from models.compression.retraining import Trainer
from models.metrics import evaluate, loss_of


@dataclass(frozen=True)
class Candidate:
    """A model between two steps.

    Attributes:
      model: as the last step left it.
      layout: what its inputs are made of, once they are packed.
      notes: what the flatbuffer must prove in the end; see `evidence.check_kept`.
      final: no step can follow, only conversion.
    """

    model: keras.Model
    layout: Layout
    notes: Mapping[str, Any]
    final: bool = False


def distill(candidate: Candidate, job: StepJob, plan: Plan, trainer: Trainer) -> Candidate:
    passes = functools.partial(_good_enough, plan=plan, teacher=candidate.model)
    model = distillation.distill(candidate.model, job.step, trainer, _students(job.step, plan.problem), passes)
    return replace(candidate, model=model)


def prune(candidate: Candidate, job: StepJob, plan: Plan, trainer: Trainer) -> Candidate:
    model = pruning.prune(candidate.model, job.step, trainer)
    return replace(candidate, model=model, notes={**candidate.notes, "zeros": pruning.expected_zeros(model, job.step)})


def cluster(candidate: Candidate, job: StepJob, plan: Plan, trainer: Trainer) -> Candidate:
    model = clustering.cluster(candidate.model, job.step, trainer, preserve_sparsity=job.sparse)
    kernels = clustering.clustered_kernels(model, job.step)
    return replace(candidate, model=model, notes={**candidate.notes, "clustered": kernels})


def pack(candidate: Candidate, job: StepJob, plan: Plan, trainer: Trainer) -> Candidate:
    packed = packing.pack(candidate.model, job.step)
    return replace(candidate, model=packed.model, layout=packed.layout)


def quantize_aware(candidate: Candidate, job: StepJob, plan: Plan, trainer: Trainer) -> Candidate:
    quantized = quantization_aware.quantize_aware(candidate.model, job.step, trainer, job.sparse, job.clustered)
    notes = {**candidate.notes, "left_in_float": list(quantized.left_in_float)}
    return replace(candidate, model=quantized.model, notes=notes, final=True)


STEPS: dict[str, Callable[[Candidate, StepJob, Plan, Trainer], Candidate]] = {
    "distill": distill,
    "prune": prune,
    "cluster": cluster,
    "pack": pack,
    "quantize_aware": quantize_aware,
}


def _students(step: distillation.Distill, problem: Problem) -> list[distillation.Student]:
    task = importlib.import_module(problem.model_module)
    config = task.Config.model_validate(problem.model_config)
    changes = step.students or [student.model_dump() for student in task.students(config)]
    return [_student(task, config, change, problem) for change in changes]


def _student(task: Any, config: pydantic.BaseModel, changes: dict[str, Any], problem: Problem) -> distillation.Student:
    changed = task.Config.model_validate(config.model_dump() | changes)
    return distillation.Student(changes, lambda: task.build(changed, problem.features, problem.head))


def _good_enough(student: keras.Model, plan: Plan, teacher: keras.Model) -> bool:
    """Return whether a student stays within half of what the gate allows: later steps cost something too."""
    gates, kind = plan.config.gates, plan.problem.head.kind
    rows, labels = plan.problem.evaluation.dataset(1024), plan.problem.evaluation.labels
    values = [evaluate(kind, [gates.metric], labels, m.predict(rows, verbose=0))[gates.metric] for m in (student, teacher)]
    return loss_of(kind, gates.metric, *values) <= gates.max_loss / 2
