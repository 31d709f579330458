"""The work of a compression as jobs: which there are, and which wait for which. Variants share the steps they begin with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.compression.config import CompressionConfig
from models.compression.data import ArraySet, TrainingData
from models.compression.quantization import Conversion, Quantize
from models.compression.recipes import REFERENCE, Recipe
from models.heads import Head
from models.training import FitConfig
from preprocessing.features import EncodedFeature

KERAS_FILE, SAVED_MODEL, LAYOUT_FILE, NOTES_FILE = "model.keras", "saved_model", "layout.json", "notes.json"
KERNELS_FILE = "kernels.npz"
REPORT_FILE = "report.json"


@dataclass(frozen=True)
class RawExamples:
    """For the raw-feature model: the transform graph, and the raw rows of the eval split in the order of its arrays."""

    transform_graph: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """What is compressed, and with what data. Travels to other processes by pickle.

    Attributes:
      model: `.keras` file of the trained model.
      model_module: importable module with `Config`, `build(config, features, head)` and `students(config)`.
      model_config: the section the model was built from.
      features: the model's inputs.
      head: what it ends in.
      fit: how it was trained.
      metrics: what is measured.
      train: examples to train on.
      evaluation: the eval split.
      raw: for the raw-feature model.
    """

    model: str
    model_module: str
    model_config: dict[str, Any]
    features: tuple[EncodedFeature, ...]
    head: Head
    fit: FitConfig
    metrics: tuple[str, ...]
    train: TrainingData
    evaluation: ArraySet
    raw: RawExamples | None = None


@dataclass(frozen=True)
class Job:
    """One process's work.

    Attributes:
      name: unique; the name of its log.
      title: what a person reads while it runs.
      needs: jobs whose results it reads.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepJob(Job):
    """Applies one step to the model of the job it needs, or exports the trained model when there is no step.

    Attributes:
      step: a config of a technique: one of `recipes.Step`.
      sparse: the model has been pruned.
      clustered: the model has been clustered.
    """

    step: Any = None
    sparse: bool = False
    clustered: bool = False


@dataclass(frozen=True)
class VariantJob(Job):
    """Converts the model of the job it needs, examines it and runs it over the eval split.

    Attributes:
      variant: name of the recipe.
      conversion: how.
      compact: drop names of inner tensors.
      raw: put the transform in front.
    """

    variant: str = ""
    conversion: Conversion = field(default_factory=Conversion)
    compact: bool = True
    raw: bool = False


@dataclass(frozen=True)
class TimingJob(Job):
    """Measures latency and throughput of what other jobs have made."""

    timed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All jobs of a compression in a folder.

    Attributes:
      folder: an empty one; a job called n leaves its results in `<folder>/<n>/`.
      problem: what all jobs share.
      config: of the stage.
      jobs: each after those it needs.
    """

    folder: str
    problem: Problem
    config: CompressionConfig
    jobs: tuple[Job, ...]

    def path(self, job: str, *parts: str) -> str:
        """Return where a job leaves something."""
        return os.path.join(self.folder, job, *parts)


_ROOT = StepJob("trained", "the trained model")


def plan(folder: str, problem: Problem, config: CompressionConfig) -> Plan:
    """Return the jobs that make every variant of a config."""
    jobs: dict[str, Job] = {_ROOT.name: _ROOT}
    reference = VariantJob(f"variant-{REFERENCE}", REFERENCE, (_ROOT.name,), variant=REFERENCE, compact=False)
    jobs[reference.name] = reference
    steps_seen: dict[str, str] = {}
    for recipe in config.recipes:
        job = _variant(recipe, _ROOT, jobs, steps_seen)
        jobs[job.name] = job
    return Plan(folder, problem, config, tuple(jobs.values()))


def _variant(recipe: Recipe, parent: StepJob, jobs: dict[str, Job], seen: dict[str, str]) -> VariantJob:
    """Add the jobs of a recipe's steps, those that no earlier recipe begins with as well; return that of its conversion."""
    steps = list(recipe.steps)
    quantize = steps[-1] if steps and isinstance(steps[-1], Quantize) else None
    steps = steps[:-1] if quantize else steps
    key = ""
    for position, step in enumerate(steps):
        key += step.model_dump_json()
        before = [s.kind for s in steps[:position]]
        if key not in seen:
            name = f"{len(seen) + 1}-" + "-".join([*before, step.kind])
            title = f"{recipe.name}: {step.kind}"
            seen[key] = name
            jobs[name] = StepJob(name, title, (parent.name,), step, "prune" in before, "cluster" in before)
        parent = jobs[seen[key]]  # type: ignore[assignment]
    conversion = Conversion(quantize, recipe.has("quantize_aware"), per_channel=not recipe.has("cluster"))
    title, raw = f"{recipe.name}: {quantize.kind if quantize else 'conversion'}", recipe.inputs == "raw"
    return VariantJob(f"variant-{recipe.name}", title, (parent.name,), recipe.name, conversion, raw=raw)


def dependents(jobs: Sequence[Job], name: str) -> list[str]:
    """Return the jobs that cannot run without this one, directly or not."""
    found: list[str] = []
    for job in jobs:
        if {name, *found} & set(job.needs):
            found.append(job.name)
    return found
