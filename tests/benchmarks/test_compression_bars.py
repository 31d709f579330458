"""What docs/compression.md claims of the digits holds: every technique acts, costs little, and the best recipe is tiny."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.compression import digits, pareto, table

Variants = Mapping[str, Mapping[str, Any]]
RECIPES = [
    "int8",
    "prune",
    "cluster",
    "quantize_aware",
    ["prune", "quantize_aware"],
    ["cluster", "quantize_aware"],
    ["prune", "cluster", "quantize_aware"],
    {"name": "smallest-features", "steps": [{"kind": "distill", "match": "features"}, "int8"]},
]


@pytest.fixture(scope="module")
def variants() -> Variants:
    metric, measured = digits(RECIPES)
    assert metric == "accuracy"
    assert pareto(metric, measured)[0]["name"] == "smallest-features"
    assert table(metric, measured).count("\n") == len(RECIPES) + 2
    return {variant["name"]: variant for variant in measured}


def loss_in_points(variants: Variants, name: str, than: str = "float32") -> float:
    return 100 * (variants[than]["metrics"]["accuracy"] - variants[name]["metrics"]["accuracy"])


def test_network_is_worth_compressing(variants: Variants):
    assert variants["float32"]["metrics"]["accuracy"] >= 0.985
    assert variants["float32"]["size_bytes"] <= 610_000


@pytest.mark.parametrize("name", ["int8", "prune", "cluster", "quantize_aware"])
def test_each_technique_alone_acts_and_costs_at_most_half_a_point(variants: Variants, name: str):
    assert variants[name]["error"] is None
    assert loss_in_points(variants, name) <= 0.5


@pytest.mark.parametrize("name", ["prune-quantize_aware", "cluster-quantize_aware", "prune-cluster-quantize_aware"])
def test_collaborative_training_keeps_accuracy_and_compresses_by_a_third_more(variants: Variants, name: str):
    assert loss_in_points(variants, name, than="quantize_aware") <= 0.3
    assert variants[name]["gzip_bytes"] <= 0.7 * variants["quantize_aware"]["gzip_bytes"]


def test_best_recipe_is_tiny(variants: Variants):
    best, reference = variants["smallest-features"], variants["float32"]
    assert loss_in_points(variants, "smallest-features") <= 0.5
    assert best["size_bytes"] <= min(8_000, reference["size_bytes"] / 75)
    assert best["gzip_bytes"] <= reference["gzip_bytes"] / 100
