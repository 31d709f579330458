"""Searches: budgets, failures, limits, what is taken in the end, and that a killed search goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_search import EPOCHS, Formula, die, problem, quality, space

from models.tuning.journal import Journal
from models.tuning.running import Request
from models.tuning.search import search
from models.tuning.trials import CONFIG_TRIAL, CONFIRMATION, Learnt
from models.tuning.workers import Share

ALGORITHMS = ["random", "grid", "bayesian", "hyperband"]


def plain(share: Share) -> Formula:
    return Formula()


def searched(folder: Path, trains: Callable[[Share], Formula] = plain, **tuner: object) -> Learnt:
    return search(problem(folder, **tuner), prepare=trains)  # type: ignore[arg-type]


def only(identity: str, harm: Callable[[Request], None]) -> Callable[[Share], Formula]:
    """Do harm to one trial."""
    return lambda share: Formula(before=lambda request: harm(request) if request.id == identity else None)


def fail(request: Request) -> None:
    raise ValueError("the loss is not a number")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_config_comes_first_and_the_best_trial_is_taken(algorithm: str, tmp_path: Path):
    learnt = searched(tmp_path, algorithm=algorithm, budget={"trials": 20})
    assert learnt.trials[0].id == CONFIG_TRIAL
    assert learnt.trials[0].values["model.hidden"] == [128, 64]
    full = [trial for trial in learnt.trials if trial.full]
    assert learnt.trial(learnt.best).score == max(trial.score for trial in full)
    if learnt.improved:
        assert learnt.values == learnt.trial(learnt.best).values
        assert quality(learnt.values) > quality(learnt.trials[0].values)
    else:
        assert learnt.values == {}


def test_config_is_kept_where_nothing_is_better(tmp_path: Path):
    worse = space(**{"fit.learning_rate": {"kind": "float", "min": 1e-4, "max": 2e-4}})
    learnt = search(problem(tmp_path, worse, budget={"trials": 5}), prepare=plain)
    assert (learnt.best, learnt.improved, learnt.values) == (CONFIG_TRIAL, False, {})


def test_same_seed_gives_the_same_trials_and_another_seed_does_not(tmp_path: Path):
    one, again, other = (
        [trial.values for trial in searched(tmp_path / name, budget={"trials": 6}, seed=seed).trials[1:]]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert one == again
    # KerasTuner's own seeds overlap: the second draw of one is the first of the next.
    assert not {str(values) for values in one} & {str(values) for values in other}


@pytest.mark.parametrize(
    ("budget", "ended_by", "trials"),
    [({"trials": 7}, "7 trials", 7), ({"trials": None, "epochs": 4 * EPOCHS}, "36 epochs", 4)],
)
def test_budget_ends_the_search(budget: dict, ended_by: str, trials: int, tmp_path: Path):
    learnt = searched(tmp_path, budget=budget, early_stopping=None)
    assert (learnt.ended_by, len(learnt.trials)) == (ended_by, trials)


def test_time_ends_the_search_and_stops_what_runs(tmp_path: Path):
    learnt = searched(
        tmp_path, lambda share: Formula(seconds=0.05), budget={"trials": None, "minutes": 1 / 60}, early_stopping=None
    )
    assert learnt.ended_by == "0.0166667 minutes"
    stopped = [trial for trial in learnt.trials if trial.state == "stopped"]
    assert [trial.error for trial in stopped] == ["0.0166667 minutes"] * len(stopped)
    assert len(stopped) <= 1
    assert learnt.trial(learnt.best).full


def test_grid_ends_when_all_was_tried(tmp_path: Path):
    grid = space(
        **{"fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]}, "model.dropout": space()["model.dropout"]},
    )
    learnt = search(problem(tmp_path, grid, algorithm="grid", early_stopping=None), prepare=plain)
    tried = [(trial.values["fit.optimizer"], trial.values["model.dropout"]) for trial in learnt.trials]
    assert len(tried) == len(set(tried)) == 12
    assert learnt.ended_by == "there was nothing left to try"


def test_poor_trials_are_stopped_early(tmp_path: Path):
    learnt = searched(tmp_path, budget={"trials": 20})
    stopped = [trial for trial in learnt.trials if trial.state == "stopped"]
    assert stopped
    assert {trial.error for trial in stopped} == {"poor: below the median of the trials before"}
    assert all(3 <= trial.epochs < EPOCHS for trial in stopped)
    best = sorted(quality(trial.values) for trial in learnt.trials)[-5:]
    assert not any(quality(trial.values) in best for trial in stopped)


def test_hyperband_goes_on_with_the_best_and_trains_the_winner_in_full(tmp_path: Path):
    learnt = searched(tmp_path, algorithm="hyperband")
    promoted = [trial for trial in learnt.trials if trial.parent]
    assert promoted
    for trial in promoted:
        parent = learnt.trial(trial.parent or "")
        assert trial.values == parent.values
        assert trial.epochs == trial.last_epoch - parent.last_epoch
        assert len(trial.course["auc"]) == trial.last_epoch
    assert learnt.trial(learnt.best).full
    assert learnt.ended_by == "there was nothing left to try"


def test_best_values_of_a_short_trial_are_trained_in_full_before_they_are_taken(tmp_path: Path):
    # Two brackets of short trials are cut off by the budget before any is long.
    learnt = searched(tmp_path, algorithm="hyperband", budget={"trials": 6})
    assert learnt.best == CONFIRMATION
    confirmed = learnt.trial(CONFIRMATION)
    assert confirmed.full
    assert confirmed.parent
    assert confirmed.epochs == EPOCHS - learnt.trial(confirmed.parent).last_epoch


def test_failed_trial_costs_itself(tmp_path: Path):
    learnt = searched(tmp_path, only("0002", fail), budget={"trials": 6})
    failed = learnt.trial("0002")
    assert (failed.state, failed.error, failed.score) == ("failed", "the loss is not a number", None)
    assert len(learnt.trials) == 6


def test_worker_that_dies_costs_one_trial(tmp_path: Path):
    learnt = searched(tmp_path, only("0002", die), budget={"trials": 8}, workers=2)
    assert learnt.trial("0002").error == "its process ended with exit code 11"
    assert [trial.state for trial in learnt.trials if trial.id != "0002"].count("failed") == 0
    assert len(learnt.trials) == 8


def test_worker_that_is_killed_is_told_from_one_that_ends(tmp_path: Path):
    learnt = searched(tmp_path, only("0001", lambda request: os.kill(os.getpid(), signal.SIGKILL)), budget={"trials": 3})
    assert learnt.trial("0001").error == "its process was killed (SIGKILL), most often for want of memory"


def test_too_many_failed_trials_end_the_search(tmp_path: Path):
    with pytest.raises(ValueError) as caught:
        searched(tmp_path, lambda share: Formula(before=fail), budget={"failed_trials": 1})
    assert str(caught.value) == ("2 trials failed, 1 may: config: the loss is not a number; 0000: the loss is not a number")


def test_models_beyond_a_limit_are_not_trained_and_not_counted(tmp_path: Path):
    # The widths of the largest come to 448, four bytes each.
    learnt = searched(tmp_path, objective={"metric": "auc", "limits": {"size_bytes": 1000}}, budget={"trials": 12})
    infeasible = [trial for trial in learnt.trials if trial.state == "infeasible"]
    assert infeasible
    assert all(trial.values["model.hidden"] == [256, 128, 64] and trial.epochs == 0 for trial in infeasible)
    assert infeasible[0].error == "size_bytes is 1792, limit <= 1000"
    assert len(learnt.trials) - len(infeasible) == 12


def test_no_model_within_the_limits_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match=r"No trial has a score for auc with auc >= 1: auc is 0\.[0-9]+, limit >= 1"):
        searched(tmp_path, objective={"metric": "auc", "limits": {"auc": 1.0}}, budget={"trials": 4})


def test_weights_choose_another_model_than_the_metric_alone(tmp_path: Path):
    searches = [
        searched(tmp_path / str(weight), objective={"weights": {"auc": 1.0, "size_bytes": weight}}, budget={"trials": 15})
        for weight in (1e-9, 1.0)
    ]
    sizes = [learnt.trial(learnt.best).metrics["size_bytes"] for learnt in searches]
    assert sizes[1] == 4 * 96 < sizes[0]
    assert searches[1].objective == "1 x auc - 1 x size_bytes"


def test_workers_run_trials_at_the_same_time(tmp_path: Path):
    met = tmp_path / "met"

    def meet(request: Request) -> None:
        _append(met, request.id)
        deadline = time.monotonic() + 20
        while len(met.read_text().split()) < 3:  # nobody goes on alone
            if time.monotonic() > deadline:
                raise ValueError("nobody came")
            time.sleep(0.01)

    learnt = searched(tmp_path / "search", lambda share: Formula(before=meet), budget={"trials": 6}, workers=3)
    assert {trial.error for trial in learnt.trials if trial.state != "stopped"} == {None}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_search_that_was_over_is_not_run_again(algorithm: str, tmp_path: Path):
    first = searched(tmp_path, algorithm=algorithm, budget={"trials": 12})
    again = searched(tmp_path, lambda share: Formula(before=fail), algorithm=algorithm, budget={"trials": 12})
    assert again.trials == first.trials
    assert (again.best, again.values) == (first.best, first.values)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("events", [1, 7, 12])
def test_killed_search_loses_the_running_trials_and_ends_as_if_nobody_had_killed_it(
    algorithm: str, events: int, tmp_path: Path
):
    """Kill the process of a search at some event; the next one must find what an undisturbed one finds."""
    budget = {"trials": 10}
    undisturbed = searched(tmp_path / "undisturbed", algorithm=algorithm, budget=budget)
    _kill_at(events, tmp_path / "killed", algorithm=algorithm, budget=budget)
    before = dict(_ended(tmp_path / "killed"))
    run: list[str] = []
    log = tmp_path / "run"
    resumed = searched(
        tmp_path / "killed",
        lambda share: Formula(before=lambda request: _append(log, request.id)),
        algorithm=algorithm,
        budget=budget,
    )
    run = log.read_text().split()
    assert not set(run) & set(before)  # what had finished is not run again
    assert [(t.id, t.values, t.score) for t in resumed.trials] == [(t.id, t.values, t.score) for t in undisturbed.trials]
    assert resumed.values == undisturbed.values


def _kill_at(events: int, folder: Path, **tuner: object) -> None:
    def run() -> None:
        write = Journal.write

        def killing(self: Journal, event: str, trial: object) -> None:
            if self._number == events:
                os.kill(os.getpid(), signal.SIGKILL)
            write(self, event, trial)  # type: ignore[arg-type]

        Journal.write = killing  # type: ignore[method-assign]
        searched(folder, **tuner)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def _ended(folder: Path) -> list[tuple[str, float | None]]:
    return [(trial.id, trial.score) for event, trial in Journal(str(folder)).read() if event == "ended"]


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(f"{text}\n")


def test_damaged_journal_is_believed_up_to_the_damage(tmp_path: Path):
    first = searched(tmp_path, budget={"trials": 6})
    files = sorted((tmp_path / "journal").iterdir())
    files[5].write_text("{")
    again = searched(tmp_path, budget={"trials": 6})
    assert [trial.values for trial in again.trials] == [trial.values for trial in first.trials]


def test_workers_end_with_whoever_started_them(tmp_path: Path):
    started = tmp_path / "pids"
    process = multiprocessing.get_context("fork").Process(
        target=lambda: searched(
            tmp_path / "search",
            lambda share: Formula(seconds=0.1, before=lambda request: _append(started, str(os.getpid()))),
            workers=2,
        )
    )
    process.start()
    while not started.exists() or len(set(started.read_text().split())) < 2:
        time.sleep(0.05)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(10)
    pids = {int(pid) for pid in started.read_text().split()}
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False
