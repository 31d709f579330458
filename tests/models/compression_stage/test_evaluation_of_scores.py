"""Agreement, calibration, collapse and slices, by numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.compression.evaluation import (
    Agreement,
    SliceScore,
    agreement,
    by_slice,
    calibration,
    collapse,
    predicted_classes,
)
from models.heads import Kind


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, np.newaxis]


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def test_class_of_a_binary_score_is_1_above_a_half():
    assert predicted_classes("binary", column(0.0, 0.5, 0.51, 1.0)).tolist() == [0, 0, 1, 1]


def test_class_of_several_scores_is_that_of_the_largest():
    assert predicted_classes("multiclass", rows([0.2, 0.5, 0.3], [0.6, 0.3, 0.1])).tolist() == [1, 0]


def test_number_has_no_class():
    assert predicted_classes("regression", column(1, 2)) is None


def test_agreement_of_binary_scores():
    compared = agreement("binary", column(0.25, 0.5, 0.75, 1.0), column(0.25, 0.75, 0.25, 0.75))
    assert compared == Agreement(mean_difference=0.25, max_difference=0.5, same_label=0.5)


def test_agreement_of_several_classes_is_over_all_of_their_scores():
    reference, scores = rows([0.5, 0.25, 0.25], [0.0, 0.5, 0.5]), rows([0.25, 0.5, 0.25], [0.0, 0.5, 0.5])
    assert agreement("multiclass", reference, scores) == Agreement(0.5 / 6, 0.25, 0.5)


def test_agreement_of_numbers_is_about_differences_only():
    assert agreement("regression", column(10, 20, 30), column(11, 20, 27)) == Agreement(4 / 3, 3.0, None)


def test_scores_agree_with_themselves():
    scores = column(0.1, 0.9)
    assert agreement("binary", scores, scores) == Agreement(0.0, 0.0, 1.0)


def test_calibration_error_of_binary_scores():
    # Bin 13 of 15 holds 0.9 and 0.9, one of them right: |1.8 - 1|; bin 1 holds 0.1 and 0.1, both positive: |0.2 - 2|.
    error = calibration("binary", np.array([1, 0, 1, 1]), column(0.9, 0.9, 0.1, 0.1))
    assert error == {"expected_calibration_error": pytest.approx((0.8 + 1.8) / 4)}


def test_gaps_in_one_bin_cancel_and_in_two_bins_do_not():
    # 1/15 = 0.0667: 0.50 and 0.53 share bin 7, 0.60 lies in bin 9.
    labels = np.array([1, 0])
    assert calibration("binary", labels, column(0.50, 0.53))["expected_calibration_error"] == pytest.approx(0.03 / 2, abs=1e-6)
    assert calibration("binary", labels, column(0.50, 0.60))["expected_calibration_error"] == pytest.approx(1.1 / 2, abs=1e-6)


def test_probabilities_of_0_and_1_have_bins_too():
    assert calibration("binary", np.array([0, 1]), column(0.0, 1.0)) == {"expected_calibration_error": 0.0}
    assert calibration("binary", np.array([1, 0]), column(0.0, 1.0)) == {"expected_calibration_error": 1.0}


def test_calibration_error_of_several_classes_is_that_of_the_winning_one():
    # Both confident with 0.8 (bin 12), one right; one with 0.4 (bin 6), wrong.
    scores = rows([0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4])
    error = calibration("multiclass", np.array([0, 2, 0]), scores)
    assert error == {"expected_calibration_error": pytest.approx((abs(1.6 - 1) + 0.4) / 3)}


def test_number_has_a_mean_error_with_its_sign_instead():
    assert calibration("regression", np.array([10.0, 20.0]), column(7, 21)) == {"mean_error": -1.0}


@pytest.mark.parametrize(("score", "name"), [(0.5, 0), (0.75, 1)])
def test_collapse_to_one_of_two_classes_is_named(score: float, name: int):
    assert collapse("binary", column(0.1, 0.9, 0.2), column(score, score, score)) == (
        f"it has collapsed: every row gets class {name}, the reference gives 2 classes"
    )


def test_collapse_to_one_of_several_classes_is_named():
    reference = rows([1, 0, 0], [0, 1, 0], [0, 0, 1])
    assert collapse("multiclass", reference, rows([0, 1, 0], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3])) == (
        "it has collapsed: every row gets class 1, the reference gives 3 classes"
    )


def test_collapse_to_one_number_is_named():
    assert collapse("regression", column(1, 2, 3), column(2.5, 2.5, 2.5)) == "it has collapsed: every row gets 2.5"


def test_rare_class_that_is_said_no_more_is_no_collapse():
    reference = column(*[0.9] * 9, *[0.1] * 991)
    assert collapse("binary", reference, column(*[0.4] * 9, *[0.1] * 991)) is None
    assert collapse("binary", column(*[0.9] * 10, *[0.1] * 990), column(*[0.4] * 10, *[0.1] * 990)) is not None


@pytest.mark.parametrize(
    ("kind", "reference", "scores"),
    [
        ("binary", column(0.1, 0.9), column(0.4, 0.6)),
        ("binary", column(0.1, 0.2), column(0.3, 0.3)),
        ("multiclass", rows([0, 1], [1, 0]), rows([0.4, 0.6], [0.6, 0.4])),
        ("multiclass", rows([0, 1], [0, 1]), rows([0.9, 0.1], [0.9, 0.1])),
        ("regression", column(1, 2), column(2, 2.5)),
        ("regression", column(3, 3), column(2, 2)),
    ],
)
def test_scores_as_diverse_as_the_reference_have_not_collapsed(kind: Kind, reference: np.ndarray, scores: np.ndarray):
    assert collapse(kind, reference, scores) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rows_without_finite_scores_are_counted(bad: float):
    reference = rows([0.1, 0.9], [0.8, 0.2], [0.5, 0.5])
    assert collapse("multiclass", reference, rows([bad, bad], [0.8, bad], [0.5, 0.5])) == (
        "2 of 3 rows have scores that are not finite"
    )
    assert collapse("regression", column(1, 2), column(bad, 2)) == "1 of 2 rows have scores that are not finite"


def test_many_rows_are_counted_with_separators():
    scores = np.full((2048, 1), np.nan, np.float32)
    assert collapse("binary", scores, scores) == "2,048 of 2,048 rows have scores that are not finite"


def test_every_slice_is_measured_on_its_own_rows():
    labels, scores = np.array([0, 1, 0, 1]), column(0.1, 0.9, 0.8, 0.7)
    slices = [(["hour:2", "hour:1"], np.array([0, 0, 1, 1])), (["far:yes"], np.array([-1, -1, -1, 0]))]
    assert by_slice("binary", ["auc", "accuracy"], labels, scores, slices) == [
        SliceScore("far:yes", 1, {"accuracy": 1.0}),  # one class only: it has no AUC
        SliceScore("hour:1", 2, {"auc": 0.0, "accuracy": 0.5}),
        SliceScore("hour:2", 2, {"auc": 1.0, "accuracy": 1.0}),
    ]


def test_metric_that_scores_make_undefined_is_left_out():
    slices = [(["a:1"], np.array([0, 0]))]
    (score,) = by_slice("binary", ["auc", "accuracy"], np.array([0, 1]), column(math.nan, 0.9), slices)
    assert score == SliceScore("a:1", 2, {"accuracy": 1.0})


def test_without_slicings_there_are_no_slices():
    assert by_slice("regression", ["rmse"], np.array([1.0]), column(1), []) == []
