"""judge(): every gate of a variant passes at its bound, fails beyond it, and says so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from models.compression.config import EdgeGates
from models.compression.gates import EdgeGateResult, judge
from models.compression.report import VariantReport

REFERENCE = VariantReport("float32", metrics={"auc": 0.75, "log_loss": 0.5, "rmse": 2.0}, size_bytes=5000)


def variant(**measured: Any) -> VariantReport:
    return VariantReport("int8", **({"metrics": REFERENCE.metrics, "size_bytes": 2000, "latency_us": 8.0} | measured))


def judged(measured: VariantReport, kind: str = "binary", **gates: Any) -> list[EdgeGateResult]:
    return judge(measured, REFERENCE, EdgeGates.model_validate({"metric": "auc"} | gates), kind)


def optional(measured: VariantReport, **gates: Any) -> EdgeGateResult:
    """The only gate beside that of the loss."""
    _, result = judged(measured, **gates)
    return result


def part(name: str, examples: int, **delta: float) -> Mapping[str, Any]:
    return {"slice": name, "examples": examples, "metrics": {}, "delta": delta}


# Powers of two: nothing is lost in the differences.
@pytest.mark.parametrize(
    ("auc", "loss", "passed"), [(0.8125, -0.0625, True), (0.6875, 0.0625, True), (0.65625, 0.09375, False)]
)
def test_metric_may_fall_by_max_loss_and_no_further(auc: float, loss: float, passed: bool):
    (result,) = judged(variant(metrics={"auc": auc}), max_loss=0.0625)
    assert result == EdgeGateResult("edge auc loss", "<= 0.0625", loss, passed)


@pytest.mark.parametrize(("log_loss", "loss", "passed"), [(0.25, -0.25, True), (0.625, 0.125, True), (0.75, 0.25, False)])
def test_metric_that_should_be_low_may_rise_by_max_loss_and_no_further(log_loss: float, loss: float, passed: bool):
    (result,) = judged(variant(metrics={"log_loss": log_loss}), metric="log_loss", max_loss=0.125)
    assert result == EdgeGateResult("edge log_loss loss", "<= 0.125", loss, passed)


def test_loss_of_a_regression_is_in_the_unit_of_its_label():
    (result,) = judged(variant(metrics={"rmse": 2.75}), "regression", metric="rmse", max_loss=0.5)
    assert (result.value, result.passed) == (0.75, False)
    assert result.reason == "edge rmse loss is 0.75, bound <= 0.5"


def test_difference_at_the_bound_passes_whatever_its_last_digit():
    # 0.75 - 0.745 is a little more than 0.005 in binary.
    assert 0.75 - 0.745 > 0.005
    (result,) = judged(variant(metrics={"auc": 0.745}), max_loss=0.005)
    assert (result.value, result.passed) == (0.005, True)


def test_difference_beyond_the_bound_by_a_millionth_fails():
    (result,) = judged(variant(metrics={"auc": 0.744999}), max_loss=0.005)
    assert (result.value, result.passed) == (0.005001, False)


def test_no_loss_at_all_is_a_bound_that_the_same_metric_holds():
    assert [result.passed for result in judged(variant(), max_loss=0)] == [True]
    assert [result.passed for result in judged(variant(metrics={"auc": 0.7499}), max_loss=0)] == [False]


@pytest.mark.parametrize("auc", [math.nan, math.inf, -math.inf])
def test_metric_that_is_no_number_fails(auc: float):
    (result,) = judged(variant(metrics={"auc": auc}), max_loss=1)
    assert (result.value, result.passed) == (None, False)
    assert result.reason == "edge auc loss is none, bound <= 1"


def test_reference_whose_metric_is_no_number_passes_nothing():
    reference = VariantReport("float32", metrics={"auc": math.nan})
    (result,) = judge(variant(), reference, EdgeGates(metric="auc"), "binary")
    assert (result.value, result.passed) == (None, False)


def test_only_configured_gates_are_judged_and_the_loss_comes_first():
    every = {
        "max_slice_loss": 0.1, "max_size_bytes": 5000, "max_latency_us": 9, "max_mean_difference": 0.1, "min_agreement": 0.9,
    }  # fmt: skip
    assert [result.name for result in judged(variant())] == ["edge auc loss"]
    assert [result.name for result in judged(variant(), **every)] == [
        "edge auc loss", "edge auc loss (worst slice)", "edge bytes", "edge latency us", "edge mean score difference",
        "edge same label",
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "passed"), [(1999, True), (2000, True), (2001, False)])
def test_size_is_bounded(size: int, passed: bool):
    result = optional(variant(size_bytes=size), max_size_bytes=2000)
    assert result == EdgeGateResult("edge bytes", "<= 2000", size, passed)
    assert result.reason == f"edge bytes is {size}, bound <= 2000"


def test_size_of_a_large_model_is_given_to_the_byte():
    result = optional(variant(size_bytes=12_345_679), max_size_bytes=12_345_678)
    assert not result.passed
    assert result.reason.replace(",", "") == "edge bytes is 12345679 bound <= 12345678"


@pytest.mark.parametrize(("latency", "passed"), [(7.5, True), (8.0, True), (8.25, False)])
def test_latency_is_bounded(latency: float, passed: bool):
    result = optional(variant(latency_us=latency), max_latency_us=8)
    assert result == EdgeGateResult("edge latency us", "<= 8", latency, passed)


def test_latency_that_was_not_measured_fails():
    result = optional(variant(latency_us=None), max_latency_us=8)
    assert (result.passed, result.reason) == (False, "edge latency us is none, bound <= 8")


@pytest.mark.parametrize(("difference", "passed"), [(0.0, True), (0.0625, True), (0.07, False), (math.nan, False)])
def test_mean_difference_of_scores_is_bounded(difference: float, passed: bool):
    result = optional(variant(agreement={"mean_difference": difference}), max_mean_difference=0.0625)
    assert (result.name, result.bound, result.passed) == ("edge mean score difference", "<= 0.0625", passed)


def test_mean_difference_that_was_not_measured_fails():
    assert optional(variant(), max_mean_difference=1).reason == "edge mean score difference is none, bound <= 1"


@pytest.mark.parametrize(("same", "passed"), [(1.0, True), (0.875, True), (0.87, False), (None, False), (math.nan, False)])
def test_agreement_has_a_lower_bound(same: float | None, passed: bool):
    result = optional(variant(agreement={"same_label": same}), min_agreement=0.875)
    assert (result.name, result.bound, result.passed) == ("edge same label", ">= 0.875", passed)


def test_reason_of_too_little_agreement_has_both_numbers():
    assert (
        optional(variant(agreement={"same_label": 0.5}), min_agreement=0.875).reason == "edge same label is 0.5, bound >= 0.875"
    )
    assert (
        optional(variant(agreement={"same_label": None}), min_agreement=0.5).reason == "edge same label is none, bound >= 0.5"
    )


SLICES = (
    part("hour:1", 100, auc=-0.125, log_loss=0.25),
    part("hour:2", 100, auc=-0.25, log_loss=0.125),
    part("hour:3", 99, auc=-0.5, log_loss=0.5),
    part("hour:4", 500, log_loss=1.0),
)


@pytest.mark.parametrize(("bound", "passed"), [(0.25, True), (0.24, False)])
def test_worst_slice_is_the_one_that_loses_most_among_those_large_enough(bound: float, passed: bool):
    result = optional(variant(slices=SLICES), max_slice_loss=bound)
    assert result == EdgeGateResult("edge auc loss (worst slice)", f"<= {bound}", 0.25, passed, "hour:2")
    assert result.reason == f"edge auc loss (worst slice) in slice hour:2 is 0.25, bound <= {bound}"


def test_smallest_slice_that_is_judged_has_min_slice_examples():
    result = optional(variant(slices=SLICES), max_slice_loss=0.25, min_slice_examples=99)
    assert (result.slice, result.value, result.passed) == ("hour:3", 0.5, False)


def test_worst_slice_of_a_metric_that_should_be_low_is_where_it_rises_most():
    result = optional(variant(slices=SLICES), metric="log_loss", max_slice_loss=0.5)
    assert (result.slice, result.value, result.passed) == ("hour:4", 1.0, False)


def test_slices_that_all_gain_pass_with_a_loss_below_zero():
    result = optional(variant(slices=(part("a:1", 100, auc=0.25), part("a:2", 100, auc=0.125))), max_slice_loss=0)
    assert (result.slice, result.value, result.passed) == ("a:2", -0.125, True)


@pytest.mark.parametrize("slices", [(), SLICES[2:]])
def test_without_a_slice_to_judge_the_gate_fails(slices: tuple):
    result = optional(variant(slices=slices), max_slice_loss=1)
    assert (result.slice, result.passed) == (None, False)
    assert result.reason == "edge auc loss (worst slice) is none, bound <= 1"
