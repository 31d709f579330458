"""Gates as plain functions of numbers."""

from __future__ import annotations

import math

import pytest

from pipeline.gates import BlessedGate, BoundGate, Evaluation, SimpleBaselineGate, SliceMetrics, WorstSliceGate, judge

AUC_090 = BoundGate(kind="bound", metric="auc", bound=0.9)


def binary(candidate: dict, baseline: dict | None = None, slices: tuple[SliceMetrics, ...] = ()) -> Evaluation:
    return Evaluation("binary", candidate, baseline, {"auc": 0.85, "log_loss": 0.30}, slices)


def hour(value: str, examples: int, auc: float) -> SliceMetrics:
    return SliceMetrics(("hour",), (value,), examples, {"auc": auc})


@pytest.mark.parametrize(("auc", "passed"), [(0.91, True), (0.9, True), (0.8999, False)])
def test_bound_of_a_metric_that_should_be_high(auc: float, passed: bool) -> None:
    (result,) = judge([AUC_090], binary({"auc": auc}))
    assert (result.name, result.slice, result.bound, result.value, result.passed) == ("auc", None, ">= 0.9", auc, passed)


@pytest.mark.parametrize(("log_loss", "passed"), [(0.19, True), (0.2, True), (0.21, False)])
def test_bound_of_a_metric_that_should_be_low(log_loss: float, passed: bool) -> None:
    (result,) = judge([BoundGate(kind="bound", metric="log_loss", bound=0.2)], binary({"log_loss": log_loss}))
    assert (result.bound, result.passed) == ("<= 0.2", passed)


@pytest.mark.parametrize("candidate", [{}, {"auc": math.nan}, {"auc": math.inf}])
def test_value_that_is_missing_or_not_a_number_fails(candidate: dict) -> None:
    (result,) = judge([AUC_090], binary(candidate))
    assert (result.value, result.passed) == (None, False)


def test_first_model_has_no_blessed_one_to_beat() -> None:
    (result,) = judge([BlessedGate(kind="blessed", metric="auc")], binary({"auc": 0.5}))
    assert (result.name, result.bound, result.value, result.passed) == ("auc (vs blessed)", "no blessed model yet", 0.5, True)


def test_first_model_without_a_number_fails_all_the_same() -> None:
    (result,) = judge([BlessedGate(kind="blessed", metric="auc")], binary({"auc": math.nan}))
    assert not result.passed


@pytest.mark.parametrize(("auc", "passed"), [(0.93, True), (0.92, True), (0.9199, False)])
def test_candidate_may_be_worse_than_the_blessed_model_by_max_loss(auc: float, passed: bool) -> None:
    (result,) = judge([BlessedGate(kind="blessed", metric="auc", max_loss=0.01)], binary({"auc": auc}, {"auc": 0.93}))
    assert (result.bound, result.passed) == (">= 0.92", passed)


def test_blessed_gate_turns_round_for_a_metric_that_should_be_low() -> None:
    gate = BlessedGate(kind="blessed", metric="log_loss", max_loss=0.1)
    (result,) = judge([gate], binary({"log_loss": 0.35}, {"log_loss": 0.3}))
    assert (result.bound, result.passed) == ("<= 0.4", True)


@pytest.mark.parametrize(
    ("metric", "value", "bound", "passed"),
    [
        ("auc", 0.87, ">= 0.87", True),
        ("auc", 0.86, ">= 0.87", False),
        ("log_loss", 0.28, "<= 0.28", True),
        ("log_loss", 0.29, "<= 0.28", False),
    ],
)
def test_candidate_must_beat_the_linear_model_by_min_gain(metric: str, value: float, bound: str, passed: bool) -> None:
    gate = SimpleBaselineGate(kind="simple_baseline", metric=metric, min_gain=0.02)
    (result,) = judge([gate], binary({metric: value}))
    assert (result.name, result.bound, result.passed) == (f"{metric} (vs linear)", bound, passed)


def test_worst_slice_is_named_and_small_ones_are_not_judged() -> None:
    slices = (hour("1", 500, 0.95), hour("2", 400, 0.91), hour("3", 99, 0.10), hour("4", 100, math.nan))
    gate = WorstSliceGate(kind="worst_slice", metric="auc", slice=("hour",), bound=0.92, min_examples=100)
    (result,) = judge([gate], binary({"auc": 0.94}, slices=slices))
    assert (result.name, result.slice, result.value, result.passed) == ("auc (worst slice)", "hour:2", 0.91, False)


def test_worst_slice_of_a_metric_that_should_be_low_is_the_highest() -> None:
    slices = tuple(SliceMetrics(("hour",), (str(v),), 200, {"log_loss": v}) for v in (0.1, 0.4, 0.2))
    gate = WorstSliceGate(kind="worst_slice", metric="log_loss", slice=("hour",), bound=0.3)
    (result,) = judge([gate], binary({"log_loss": 0.2}, slices=slices))
    assert (result.slice, result.value, result.passed) == ("hour:0.4", 0.4, False)


def test_no_slice_large_enough_fails_rather_than_passes() -> None:
    gate = WorstSliceGate(kind="worst_slice", metric="auc", slice=("hour",), bound=0.5)
    (result,) = judge([gate], binary({"auc": 0.9}, slices=(hour("1", 10, 0.99),)))
    assert (result.slice, result.value, result.passed) == ("hour", None, False)


def test_slices_by_two_columns_are_found_in_any_order() -> None:
    slices = (SliceMetrics(("company", "hour"), ("A", "3"), 200, {"auc": 0.8}), hour("3", 200, 0.1))
    gate = WorstSliceGate(kind="worst_slice", metric="auc", slice=("hour", "company"), bound=0.7)
    (result,) = judge([gate], binary({"auc": 0.9}, slices=slices))
    assert (result.slice, result.value, result.passed) == ("company:A,hour:3", 0.8, True)


def test_every_gate_gives_one_result_in_order() -> None:
    gates = [AUC_090, BoundGate(kind="bound", metric="log_loss", bound=0.2)]
    assert [r.name for r in judge(gates, binary({"auc": 0.95, "log_loss": 0.1}))] == ["auc", "log_loss"]


@pytest.mark.parametrize("candidate", [{}, {"auc": math.nan}, {"auc": -math.inf}])
@pytest.mark.parametrize(
    "gate",
    [BlessedGate(kind="blessed", metric="auc", max_loss=9.0), SimpleBaselineGate(kind="simple_baseline", metric="auc")],
)
def test_comparison_without_a_number_fails(gate: BlessedGate | SimpleBaselineGate, candidate: dict) -> None:
    (result,) = judge([gate], binary(candidate, {"auc": 0.5}))
    assert (result.value, result.passed) == (None, False)


@pytest.mark.parametrize("reference", [{}, {"auc": math.nan}])
@pytest.mark.parametrize(
    "gate", [BlessedGate(kind="blessed", metric="auc"), SimpleBaselineGate(kind="simple_baseline", metric="auc")]
)
def test_nothing_passes_against_a_reference_that_is_not_a_number(
    gate: BlessedGate | SimpleBaselineGate, reference: dict
) -> None:
    (result,) = judge([gate], Evaluation("binary", {"auc": 0.99}, reference, reference, ()))
    assert (result.bound, result.value, result.passed) == (">= nan", 0.99, False)


def test_value_just_short_of_its_bound_fails_however_it_is_shown() -> None:
    (result,) = judge([AUC_090], binary({"auc": 0.8999999}))
    assert (result.value, result.passed) == (0.9, False)


def test_small_units_are_judged_as_exactly_as_large_ones() -> None:
    evaluation = Evaluation("regression", {"rmse": 4.9e-7}, None, {}, ())
    (result,) = judge([BoundGate(kind="bound", metric="rmse", bound=1e-8)], evaluation)
    assert (result.bound, result.passed) == ("<= 1e-08", False)


def test_result_is_a_row_of_plain_values() -> None:
    (result,) = judge(
        [BoundGate(kind="bound", metric="rmse", bound=12.5)], Evaluation("regression", {"rmse": 13}, None, {}, ())
    )
    assert result.to_dict() == {"name": "rmse", "slice": None, "bound": "<= 12.5", "value": 13.0, "passed": False}
