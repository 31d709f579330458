"""Distances between a reference and new rows, and what chance makes of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from pipeline.drift.measuring import Counted, Distance, Known, Quantiles, distances

LETTERS = np.array(["a", "b", "c", "d", "rare"])
SHARES = [0.4, 0.3, 0.2, 0.095, 0.005]


def known(values: np.ndarray, missing: int = 0) -> Known:
    """Describe numbers by their deciles, as TFDV does."""
    edges = np.quantile(values, np.linspace(0, 1, 11), method="inverted_cdf")
    return Known(len(values), missing, quantiles=Quantiles(edges, np.linspace(0, 1, 11)))


def counted(reference: Known, values: np.ndarray, missing: int = 0) -> Counted:
    assert reference.quantiles is not None
    edges, ordered = reference.quantiles.edges, np.sort(values)
    return Counted(len(values), missing, np.searchsorted(ordered, edges, "left"), np.searchsorted(ordered, edges, "right"))


def of_numbers(before: np.ndarray, now: np.ndarray) -> Distance:
    reference = known(before)
    (found,) = [d for d in distances(reference, counted(reference, now)) if d.measure == "kolmogorov_smirnov"]
    return found


def of_texts(before: Counter, now: Counter) -> dict[str, Distance]:
    listed = {text: now[text] for text in before}
    found = distances(Known(before.total(), 0, texts=before), Counted(now.total(), 0, texts=listed))
    return {each.measure: each for each in found}


def test_same_numbers_are_no_distance_apart() -> None:
    for values in (np.arange(1000.0), np.repeat([0.0, 1.0, 7.0], [900, 50, 50]), np.full(40, 2.5)):
        assert of_numbers(values, values).value == pytest.approx(0.0, abs=1e-12)


def test_distance_is_close_below_that_over_all_values() -> None:
    random = np.random.default_rng(3)
    for shift in (0.1, 0.5, 1.0, 3.0):
        before, now = random.normal(size=4000), random.normal(shift, 1, 3000)
        exact = stats.ks_2samp(before, now).statistic
        assert exact - 0.05 < of_numbers(before, now).value <= exact + 1e-9


def test_values_outside_of_all_that_was_seen_are_a_distance() -> None:
    before = np.linspace(0, 1, 500)
    assert of_numbers(before, np.concatenate([before, np.full(500, 9.0)])).value == pytest.approx(0.5, abs=0.01)
    assert of_numbers(before, np.concatenate([before, np.full(500, -9.0)])).value == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["normal", "whole numbers", "mostly zero"])
@pytest.mark.parametrize("size", [60, 1000])
def test_chance_raises_no_alarm(kind: str, size: int) -> None:
    random = np.random.default_rng(7)

    def draw(number: int) -> np.ndarray:
        if kind == "normal":
            return random.normal(size=number)
        return (
            random.integers(0, 24, number) * 1.0 if kind == "whole numbers" else np.maximum(0.0, random.normal(-1, 1, number))
        )

    alarms = sum(of_numbers(draw(2000), draw(size)).is_over(0.0) for _ in range(1000))
    assert alarms <= 5  # one in a thousand is meant; more than five of a mean of one come once in a thousand


@pytest.mark.parametrize("size", [60, 1000])
def test_chance_raises_no_alarm_of_texts(size: int) -> None:
    random = np.random.default_rng(8)

    def draw(number: int) -> Counter:
        return Counter(random.choice(LETTERS, number, p=SHARES).tolist())

    found = [of_texts(draw(2000), draw(size)) for _ in range(1000)]
    for measure in ("l_infinity", "unseen"):
        assert sum(each[measure].is_over(0.0) for each in found) <= 5


def test_texts_by_share_and_those_never_seen() -> None:
    before, now = Counter(cash=600, card=400), Counter(cash=300, card=400, coin=300)
    found = of_texts(before, now)
    assert found["l_infinity"].value == pytest.approx(0.3)
    assert found["unseen"].value == pytest.approx(0.3)
    assert found["unseen"].is_over(0.1)
    assert not found["unseen"].is_over(0.35)


def test_texts_that_the_reference_does_not_list_are_not_new() -> None:
    listed = Known(1000, 0, texts={"a": 500, "b": 300})  # 200 rows are of rarer ones
    (_, _, unseen) = distances(listed, Counted(1000, 0, texts={"a": 500, "b": 300}))
    assert unseen.value == 0.0


def test_missing_values() -> None:
    reference = known(np.arange(100.0), missing=100)
    (found,) = [d for d in distances(reference, counted(reference, np.arange(20.0), 80)) if d.measure == "missing"]
    assert found.value == pytest.approx(0.3)
    assert found.is_over(0.1)
    (only,) = distances(reference, Counted(0, 50))
    assert (only.measure, only.value) == ("missing", 0.5)


def test_few_rows_do_not_tell() -> None:
    assert not of_numbers(np.arange(1000.0), np.full(5, 800.0)).is_over(0.1)
    assert of_numbers(np.arange(1000.0), np.full(50, 800.0)).is_over(0.1)
