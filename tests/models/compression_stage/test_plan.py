"""plan(): which jobs there are, which wait for which, and what variants share."""

from __future__ import annotations

import dataclasses
import os
import pickle
from typing import Any

import pytest

from models.compression.config import CompressionConfig
from models.compression.plan import Job, Plan, StepJob, VariantJob, dependents, plan
from models.compression.pruning import Prune
from models.compression.quantization import Quantize


@pytest.fixture
def planned(problem):
    """Plan recipes."""

    def make(*recipes: Any) -> Plan:
        return plan("work", problem, CompressionConfig.model_validate({"recipes": recipes, "gates": {"metric": "auc"}}))

    return make


def needs(planned: Plan) -> dict[str, tuple[str, ...]]:
    return {job.name: job.needs for job in planned.jobs}


def job(planned: Plan, name: str) -> Any:
    return next(job for job in planned.jobs if job.name == name)


def test_reference_is_the_trained_model_as_it_is_and_comes_first(planned):
    first, reference, other = planned("float16").jobs
    assert first == StepJob("trained", "the trained model")
    assert reference == VariantJob("variant-float32", "float32", ("trained",), variant="float32", compact=False)
    assert (reference.conversion.step, reference.conversion.trained) == (None, False)
    assert (other.name, other.variant, other.needs, other.compact) == ("variant-float16", "float16", ("trained",), True)
    assert other.conversion.step == Quantize(kind="float16")


def test_every_step_is_a_job_that_waits_for_the_one_before(planned):
    made = planned({"name": "all", "steps": ["distill", "prune", "cluster", "quantize_aware", "int8"]})
    assert needs(made) == {
        "trained": (),
        "variant-float32": ("trained",),
        "1-distill": ("trained",),
        "2-distill-prune": ("1-distill",),
        "3-distill-prune-cluster": ("2-distill-prune",),
        "4-distill-prune-cluster-quantize_aware": ("3-distill-prune-cluster",),
        "variant-all": ("4-distill-prune-cluster-quantize_aware",),
    }
    assert [type(job) for job in made.jobs] == [StepJob, VariantJob, StepJob, StepJob, StepJob, StepJob, VariantJob]
    assert [job.title for job in made.jobs[2:]] == [
        "all: distill", "all: prune", "all: cluster", "all: quantize_aware", "all: int8",
    ]  # fmt: skip


def test_every_job_comes_after_those_it_needs(planned):
    made = planned("smallest", ["distill", "int8"], ["prune", "cluster", "int8"], "balanced", "raw")
    seen: set[str] = set()
    for each in made.jobs:
        assert seen.issuperset(each.needs)
        seen.add(each.name)
    assert len(seen) == len(made.jobs)


def test_recipes_that_begin_alike_share_those_steps(planned):
    made = planned(["prune", "int8"], ["prune", "cluster", "int8"], ["prune", "cluster", "dynamic"])
    assert needs(made) == {
        "trained": (),
        "variant-float32": ("trained",),
        "1-prune": ("trained",),
        "variant-prune-int8": ("1-prune",),
        "2-prune-cluster": ("1-prune",),
        "variant-prune-cluster-int8": ("2-prune-cluster",),
        "variant-prune-cluster-dynamic": ("2-prune-cluster",),
    }


def test_steps_that_differ_in_a_number_are_not_shared(planned):
    half = {"kind": "prune", "sparsity": 0.5}
    made = planned(["prune", "int8"], {"name": "half", "steps": [half, "int8"]})
    assert (needs(made)["variant-prune-int8"], needs(made)["variant-half"]) == (("1-prune",), ("2-prune",))
    assert (job(made, "1-prune").step, job(made, "2-prune").step) == (Prune(), Prune(sparsity=0.5))


def test_same_step_after_another_one_is_not_shared(planned):
    made = planned(["prune", "int8"], ["pack", "prune", "int8"])
    assert needs(made)["variant-prune-int8"] == ("1-prune",)
    assert needs(made)["3-pack-prune"] == ("2-pack",)


def test_step_knows_of_zeros_and_clusters_made_before_it(planned):
    made = planned(["prune", "cluster", "quantize_aware"], ["cluster", "pack", "quantize_aware"], "quantize_aware")
    flags = {job.name: (job.sparse, job.clustered) for job in made.jobs if isinstance(job, StepJob)}
    assert flags == {
        "trained": (False, False),
        "1-prune": (False, False),
        "2-prune-cluster": (True, False),
        "3-prune-cluster-quantize_aware": (True, True),
        "4-cluster": (False, False),
        "5-cluster-pack": (False, True),
        "6-cluster-pack-quantize_aware": (False, True),
        "7-quantize_aware": (False, False),
    }


@pytest.mark.parametrize(
    ("recipe", "kind", "simulated", "per_channel"),
    [
        (["prune"], None, False, True),
        (["int8"], "int8", False, True),
        (["cluster", "int8"], "int8", False, False),
        (["quantize_aware"], None, True, True),
        (["cluster", "quantize_aware", "int8"], "int8", True, False),
    ],
)
def test_conversion_follows_from_the_steps(planned, recipe: list[str], kind: str | None, simulated: bool, per_channel: bool):
    conversion = planned(recipe).jobs[-1].conversion
    assert (conversion.step.kind if conversion.step else None) == kind
    assert (conversion.trained, conversion.per_channel) == (simulated, per_channel)


def test_recipe_without_quantization_says_that_it_converts(planned):
    assert planned(["prune"]).jobs[-1].title == "prune: conversion"


def test_variant_with_raw_inputs_is_made_of_the_same_steps(planned):
    made = planned("raw", "smallest", {"name": "raw-smallest", "steps": "smallest", "inputs": "raw"})
    raw, small, both = (job(made, f"variant-{name}") for name in ("raw", "smallest", "raw-smallest"))
    assert (raw.needs, raw.raw, raw.conversion.step, raw.title) == (("trained",), True, None, "raw: conversion")
    assert (small.needs, small.raw) == (both.needs, False) == (("2-distill-pack",), False)
    assert (both.raw, both.conversion) == (True, small.conversion)


def test_dependents_are_found_through_others(planned):
    jobs = planned(["prune", "cluster", "int8"], ["prune", "dynamic"], "float16").jobs
    assert dependents(jobs, "1-prune") == ["2-prune-cluster", "variant-prune-cluster-int8", "variant-prune-dynamic"]
    assert dependents(jobs, "variant-float16") == []
    assert dependents(jobs, "trained") == [job.name for job in jobs if job.name != "trained"]
    assert dependents([Job("a", "a"), Job("b", "b", ("a",))], "b") == []


def test_plan_knows_where_a_job_leaves_its_results(planned):
    assert planned("int8").path("variant-int8", "model.tflite") == os.path.join("work", "variant-int8", "model.tflite")


def test_plan_travels_by_pickle_and_carries_no_data(planned):
    made = planned("smallest", ["prune", "cluster", "int8"], "balanced")
    content = pickle.dumps(made)
    again = pickle.loads(content)
    assert (again.jobs, again.config, again.problem.model) == (made.jobs, made.config, made.problem.model)
    assert len(content) < 20_000
    assert dataclasses.is_dataclass(again.problem)
