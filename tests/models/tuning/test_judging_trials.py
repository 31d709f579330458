"""Scores, limits, the median rule, the accounts of a budget."""

from __future__ import annotations

import pytest

from models.tuning.accounts import POOR, over, unconfirmed, used_up
from models.tuning.config import Budget, MedianStopping, Objective
from models.tuning.objective import Judge
from models.tuning.stopping import is_poor
from models.tuning.trials import CONFIG_TRIAL, Trial

METRICS = {"auc": 0.9, "accuracy": 0.8, "log_loss": 0.3, "parameters": 1000.0, "size_bytes": 4000.0, "seconds": 2.0}


def judge(**objective: object) -> Judge:
    return Judge(Objective.model_validate(objective), "binary")


def trial(identity: str, *scores: float, **facts: object) -> Trial:
    """Return a trial with an AUC by epoch."""
    state = {"state": "finished", "score": max(scores, default=None), "metrics": METRICS, "epochs": len(scores)}
    return Trial(identity, {}, len(scores), course={"auc": list(scores)}, **(state | facts))  # type: ignore[arg-type]


def test_metric_is_its_own_score_and_the_first_of_its_kind_by_default():
    assert judge().score(METRICS) == judge(metric="auc").score(METRICS) == 0.9
    assert (judge().score_name, judge().text, judge().metrics) == ("auc", "auc", ("auc",))


def test_metric_of_which_less_is_better_counts_negatively_and_is_shown_as_it_is():
    by_loss = judge(metric="log_loss")
    assert by_loss.score(METRICS) == -0.3
    assert by_loss.shown(-0.3) == 0.3
    assert by_loss.higher_is_better is False


def test_weights_add_up_in_the_direction_of_each():
    weighed = judge(weights={"auc": 2, "log_loss": 1, "size_bytes": 1e-4})
    assert weighed.score(METRICS) == pytest.approx(2 * 0.9 - 0.3 - 0.4)
    assert weighed.text == "2 x auc - 1 x log_loss - 0.0001 x size_bytes"
    assert (weighed.score_name, weighed.metrics) == ("score", ("auc", "log_loss"))


def test_limits_are_kept_in_the_direction_of_each():
    limited = judge(metric="auc", limits={"size_bytes": 3000, "accuracy": 0.85, "log_loss": 0.5})
    assert limited.violations(METRICS) == ["size_bytes is 4000, limit <= 3000", "accuracy is 0.8, limit >= 0.85"]
    assert limited.violations({"size_bytes": 4000.0}, beforehand=True) == ["size_bytes is 4000, limit <= 3000"]
    assert limited.text == "auc with size_bytes <= 3000 and accuracy >= 0.85 and log_loss <= 0.5"
    assert judge(metric="auc", limits={"size_bytes": 4000}).violations(METRICS) == []


RULE = MedianStopping(first_epochs=2, first_trials=3)
# Averages of the first two epochs: 0.3, 0.5, 0.7.
OTHERS = [[0.2, 0.4, 0.9], [0.4, 0.6, 0.9], [0.6, 0.8, 0.9]]


@pytest.mark.parametrize(
    ("scores", "others", "poor"),
    [
        ([0.1, 0.49], OTHERS, True),
        ([0.51, 0.2], OTHERS, False),  # its best counts, not its last
        ([0.1], OTHERS, False),  # too early
        ([0.1, 0.1], OTHERS[:2], False),  # nothing to compare with
        ([0.1, 0.1], [*OTHERS[:2], []], False),  # a trial without an epoch says nothing
        ([0.5, 0.5, 0.64], OTHERS, False),
        ([0.5, 0.5, 0.5], [[0.6, 0.6], [0.6], [0.6, 0.6]], True),  # of a shorter trial all epochs count
    ],
)
def test_trial_below_the_median_of_averages_is_poor(scores: list[float], others: list[list[float]], poor: bool):
    assert is_poor(RULE, scores, others) is poor


def test_budget_counts_trials_that_trained():
    trials = [trial("config", 0.5), trial("0", state="infeasible", score=None), trial("1", 0.5, 0.6)]
    assert over(Budget(trials=3), trials, 0.0, 0) is None
    assert over(Budget(trials=2), trials, 0.0, 0) == "2 trials"
    assert over(Budget(trials=None, epochs=5), trials, 0.0, under_way=1) is None
    assert over(Budget(trials=None, epochs=5), trials, 0.0, under_way=2) == "5 epochs"


def test_time_and_epochs_stop_running_trials_and_their_number_does_not():
    assert used_up(Budget(trials=1), [trial("config", 0.5)], 0.0, 0) is None
    assert used_up(Budget(minutes=1.5), [], 90.0, 0) == "1.5 minutes"
    assert used_up(Budget(minutes=1.5), [], 89.0, 0) is None


def test_search_of_models_none_of_which_keeps_to_the_limits_ends():
    trials = [trial(str(n), state="infeasible", score=None) for n in range(200)]
    assert over(Budget(trials=20), trials, 0.0, 0) == "200 models did not keep to the limits"


def test_best_of_the_longest_short_trials_is_confirmed_where_none_was_trained_in_full():
    own = trial(CONFIG_TRIAL, 0.5, 0.8, 0.9, full=True)
    trials = [own, trial("0", 0.7), trial("1", 0.4, 0.5), trial("2", 0.4, 0.6), trial("3", 0.1, 0.2, 0.2, error=POOR)]
    assert unconfirmed(trials, judge()) == trials[3]


def test_best_trial_in_full_needs_no_confirmation():
    trials = [trial(CONFIG_TRIAL, 0.5, 0.8, full=True), trial("0", 0.4, 0.7, full=True), trial("1", 0.6)]
    assert unconfirmed(trials, judge()) is None
    assert unconfirmed([*trials, trial("2", 0.9)], judge()) == trial("2", 0.9)
    assert unconfirmed(trials[:1], judge()) is None
