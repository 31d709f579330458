"""What a search leaves for people and programs."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from made_up_searches import (
    SEARCHES,
    SPACE,
    hyperband,
    lower_is_better,
    one_trial,
    searched,
)

from models.tuning.report.writing import EPOCHS, EVERYTHING, PAGE, TRIALS, write_report
from models.tuning.space import Choice, Float, Space
from models.tuning.trials import CONFIG_TRIAL, CONFIRMATION, Learnt, Trial

VOID = {"meta", "br", "link", "img"}


def written(learnt: Learnt, space: Space = SPACE) -> dict[str, str]:
    """Return {name: text} of the files of a report."""
    files: dict[str, str] = {}
    write_report(learnt, space, files.__setitem__)
    return files


@functools.cache
def report(search: str) -> dict[str, str]:
    """Return the files of a made-up search, made once."""
    return written(SEARCHES[search]())


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class Page(HTMLParser):
    """What a page shows, its ids and what it refers to; elements that are not closed where they must be are errors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.described: list[str] = []
        self.shown: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href", "action", "data") or "url(" in (value or ""):
                self.references.append(value or "")
            elif name == "aria-labelledby":
                self.described += (value or "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_has_a_page_that_needs_nothing_else(search: str):
    text = report(search)[PAGE]
    read = Page(text)
    assert len(read.ids) == len(set(read.ids))
    assert all(re.fullmatch(r"#[\w-]+|url\(#[\w-]+\)", reference) for reference in read.references)
    assert {x.strip("#url()") for x in read.references} | set(read.described) <= set(read.ids)
    assert len(read.described) == 2 * text.count("<svg")
    assert "script" not in read.tags


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_is_json_without_nan(search: str):
    learnt = SEARCHES[search]()

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    read = json.loads(report(search)[EVERYTHING], parse_constant=refuse)
    assert [trial["id"] for trial in read["learnt"]["trials"]] == [trial.id for trial in learnt.trials]
    assert list(read["space"]) == list(SPACE)
    assert read["summary"]["num_trials"] == sum(read["summary"]["trials"].values()) == len(learnt.trials)


@pytest.mark.parametrize("search", ["improved", "hyperband"])
def test_same_search_gives_the_same_files(search: str):
    assert written(SEARCHES[search]()) == report(search)


def test_summary_tells_what_was_found():
    learnt, summary = searched(), json.loads(report("improved")[EVERYTHING])["summary"]
    best, own = learnt.trial(learnt.best), learnt.trial(CONFIG_TRIAL)
    assert summary["best"] == {"id": best.id, "score": best.score, "metrics": best.metrics}
    assert summary["config"]["score"] == own.score
    assert summary["gain"] == pytest.approx(best.metrics["auc"] - own.metrics["auc"])
    assert summary["values"] == best.values
    assert summary["trials"] == {"finished": 28, "stopped": 7, "failed": 3, "infeasible": 2}
    assert summary["importances"]["num_trials"] == 35
    assert sum(summary["importances"]["shares"].values()) == pytest.approx(1)
    assert max(summary["importances"]["shares"], key=summary["importances"]["shares"].get) == "fit.learning_rate"
    points = summary["best_so_far"]
    assert points[0] == [1, own.score]
    assert points[-1][1] == best.score
    assert [value for _, value in points] == sorted(value for _, value in points)
    assert len(points) == 35


def test_metric_is_shown_as_measured_where_lower_is_better():
    learnt = lower_is_better()
    files = report("lower is better")
    summary = json.loads(files[EVERYTHING])["summary"]
    best, own = learnt.trial(learnt.best), learnt.trial(CONFIG_TRIAL)
    assert summary["best"]["score"] == best.metrics["rmse"] > 0
    assert summary["gain"] == pytest.approx(own.metrics["rmse"] - best.metrics["rmse"])
    assert summary["gain"] > 0
    values = [value for _, value in summary["best_so_far"]]
    assert values == sorted(values, reverse=True)
    assert f"{-(best.score or 0):.5g}" in Page(files[PAGE]).text
    assert f"{best.score:.5g}" not in Page(files[PAGE]).text
    assert float(next(row for row in rows(files[TRIALS]) if row["trial"] == best.id)["score"]) == best.score


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("improved", r"Trial 0026 reached auc 0\.95609, better by 0\.0041 than the config's own \(auc 0\.95203\)\. "),
        ("hyperband", r"The best settings, trained in full, reached auc 0\.95692, better by 0\.0049 than "),
        ("nothing better", r"No other settings proved better: the best of 11 reached auc .*own settings stay \(auc 0\.99\)\."),
        ("one trial", r"No other settings were tried\. The config's own settings stay \(auc 0\.95203\)\."),
        ("all failed", r"No other settings came to a score \(4 tried\)\. The config's own settings stay \(auc 0\.95203\)\."),
        ("config failed too", r"No other settings came to a score \(4 tried\)\. The config's own settings stay\."),
    ],
)
def test_headline_says_what_came_of_it(search: str, expected: str):
    files = report(search)
    headline = json.loads(files[EVERYTHING])["summary"]["headline"]
    assert re.match(expected, headline)
    assert headline in Page(files[PAGE]).text


def test_page_shows_settings_beside_the_configs_own():
    text, values = Page(report("improved")[PAGE]).text, searched().values
    assert f"fit.learning_rate 0.02 {values['fit.learning_rate']:.4g} 0.0001 to 0.1, log" in text
    assert f"fit.weight_decay - {values['fit.weight_decay']:.4g} 1e-06 to 0.1, log; where fit.optimizer is adamw" in text
    assert f"model.hidden [256, 128, 64] {values['model.hidden']} [256, 128, 64], [128, 64], [64]" in text
    assert "auc 0.95203 0.95609" in text
    assert "size_bytes 240,000 240,000" in text


def test_page_says_why_there_are_no_importances():
    expected = "Importances need 10 trials with a score that do not go on from another one's, found 1: "
    assert expected + "with fewer they would be chance." in Page(report("one trial")[PAGE]).text


@pytest.mark.parametrize(("search", "reliable"), [("hundred", True), ("nothing better", False)])
def test_page_calls_poor_importances_unreliable(search: str, reliable: bool):
    assert ("Unreliable:" not in Page(report(search)[PAGE]).text) is reliable


def test_page_lists_every_trial_with_its_epochs_and_errors():
    learnt = SEARCHES["hundred"]()
    text = Page(report("hundred")[PAGE]).text
    assert all(f" {trial.id} " in text for trial in learnt.trials)
    assert "Killed by signal 9 (SIGKILL): out of memory?" in text
    assert "5 of 12" in text
    assert "auc: 0.90" in text


def test_page_tells_which_trial_another_one_goes_on_from():
    assert re.search(r"goes on from 00\d\d", Page(report("hyperband")[PAGE]).text)


def test_trials_are_a_table_with_a_column_for_each_parameter():
    learnt = searched(12)
    read = rows(written(learnt)[TRIALS])
    assert list(read[0]) == [
        *("trial", "state", "score", "auc", "accuracy", "log_loss", "size_bytes"),
        *("seconds", "epochs", "last_epoch", "full", "parent"),
        *SPACE,
        "error",
    ]
    assert [row["trial"] for row in read] == [trial.id for trial in learnt.trials]
    own = read[0]
    assert (own["model.hidden"], own["fit.optimizer"], own["fit.weight_decay"]) == ("[256, 128, 64]", "adam", "")
    assert float(own["score"]) == learnt.trials[0].score
    assert next(row["error"] for row in read if row["state"] == "failed").startswith("Killed by signal 9")


def test_epochs_are_a_long_table():
    learnt = hyperband()
    read = rows(report("hyperband")[EPOCHS])
    assert len(read) == sum(len(values) for trial in learnt.trials for values in trial.course.values())
    last = [row for row in read if row["trial"] == CONFIRMATION and row["metric"] == "auc"][-1]
    assert (last["epoch"], float(last["value"])) == ("12", learnt.trial(CONFIRMATION).course["auc"][-1])


def test_names_values_and_errors_are_escaped():
    evil = "<script>alert('a')</script> & \"$x$\""
    space: Space = {f"model.{evil}": Choice(values=(evil, "b")), "fit.rate": Float(min=0, max=1)}
    values: dict[str, Any] = {f"model.{evil}": evil, "fit.rate": 0.5}
    trials = tuple(
        Trial(name, values | {"fit.rate": n / 20}, 1, state="finished", score=n / 20, course={evil: [0.1]}, error=evil)
        for n, name in enumerate([CONFIG_TRIAL, *map(str, range(15))])
    )
    learnt = dataclasses.replace(one_trial(), trials=trials, best="14", improved=True, score_name=evil, objective=evil)
    text = written(learnt, space)[PAGE]
    read = Page(text)
    assert "script" not in read.tags
    assert evil in read.text


def test_nothing_global_is_changed():
    import matplotlib

    before = dict(matplotlib.rcParams)
    written(searched(12))
    assert dict(matplotlib.rcParams) == before
