"""The charts of a search: best so far, importances, the course of every trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.tuning.report import drawing
from models.tuning.report.axes import floor, is_number
from models.tuning.report.drawing import BEST, FAILED, OTHER, OWN, Chart
from models.tuning.report.findings import best_so_far, config_trial, found_trial, named, readable, scores, shown
from models.tuning.report.importance import Importances
from models.tuning.trials import SCORED, Learnt, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BARS = 15


def best_so_far_chart(learnt: Learnt) -> Chart | None:
    """Draw every trial's metric by its number, and the best until then; None where no trial has a score."""
    points = best_so_far(learnt)
    if not points:
        return None
    (first, start), (_, end) = points[0], points[-1]
    reached = next(number for number, value in points if value == end)
    description = (
        f"The best {learnt.score_name} so far: {readable(start)} after trial {first:g}, {readable(end)} from trial {reached:g} "
        f"on, of {len(learnt.trials)} trials."
    )

    def draw() -> Figure:
        figure, axes = _blank(9, 3.2, "trial", learnt.score_name)
        lowest = floor(list(scores(learnt).values()))
        _trials(axes, learnt, lowest)
        numbers, values = [n for n, _ in points] + [len(learnt.trials)], [v for _, v in points] + [end]
        axes.step(numbers, values, where="post", color=BEST, linewidth=1.8, label="best so far")
        _own_line(axes, learnt)
        axes.set_xlim(0.5, max(len(learnt.trials), 2) + 0.5)
        _whole_numbers(axes)
        ends = _with_margin(lowest, max(scores(learnt).values()))
        axes.set_ylim(*ends if learnt.higher_is_better else sorted(-x for x in ends))
        _legend(axes)
        return figure

    return drawing.drawn("best-so-far", "Best so far", description, draw)


def importance_chart(importances: Importances) -> Chart | None:
    """Draw a bar for each parameter, largest first; None where there are no importances."""
    shares = dict(list(importances.shares.items())[:MAX_BARS])
    if not shares:
        return None
    description = "Importance: " + ", ".join(f"{name} {_percent(share)}" for name, share in shares.items()) + "."

    def draw() -> Figure:
        figure, axes = _blank(9, 0.6 + 0.32 * len(shares), "share of the differences between trials", "")
        names = list(shares)[::-1]
        bars = axes.barh(range(len(names)), [shares[name] for name in names], color=OWN, height=0.62)
        axes.bar_label(bars, [_percent(shares[name]) for name in names], padding=4)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, max(shares.values()) * 1.12)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        return figure

    return drawing.drawn("importance", "Importance of each setting", description, draw)


def course_chart(learnt: Learnt) -> Chart | None:
    """Draw the objective by epoch of every trial; None where no trial has a course."""
    name = course_name(learnt)
    courses = {t.id: [x if is_number(x) else math.nan for x in t.course.get(name, [])] for t in learnt.trials}
    courses = {identity: course for identity, course in courses.items() if course}
    if not courses:
        return None
    found, own = found_trial(learnt), config_trial(learnt)
    longest = max(map(len, courses.values()))
    description = f"{name} by epoch of {len(courses)} trials, the longest of {longest} epochs."
    if found and found.id in courses:
        description += f" Of {named(found)} it ended at {readable(courses[found.id][-1])}."

    def draw() -> Figure:
        figure, axes = _blank(9, 3.4, "epoch", name)
        special = {
            own.id if own else "": ("the config's own", OWN, "--"),
            found.id if found else "": _found_look(learnt, found),
        }
        for identity, course in courses.items():
            if identity not in special:
                _course(axes, course, OTHER, linewidth=0.8, alpha=0.45)
        for identity, (label, colour, line) in special.items():
            if identity in courses:
                _course(axes, courses[identity], colour, linestyle=line, linewidth=2.0, label=label)
        _whole_numbers(axes)
        axes.set_xlim(0.8 if longest > 1 else 0.5, longest + 0.2 if longest > 1 else 1.5)
        _limit_course(axes, courses, [key for key in special if key in courses])
        _legend(axes)
        return figure

    return drawing.drawn("course", f"{name} by epoch", description, draw)


def course_name(learnt: Learnt) -> str:
    """Return what is measured after each epoch and comes closest to the objective."""
    names = list(dict.fromkeys(name for trial in learnt.trials for name in trial.course))
    metrics = [name for name in names if name not in ("loss", "eval_loss")]
    return next((name for name in (learnt.score_name, *metrics, "eval_loss", *names) if name in names), learnt.score_name)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "< 1%"


def _found_look(learnt: Learnt, found: Trial | None) -> tuple[str, str, str]:
    return (f"{named(found)}, the {'best' if learnt.improved else 'best other'}" if found else "", BEST, "-")


def _course(axes: Axes, course: Sequence[float], colour: str, **look: Any) -> None:
    axes.plot(range(1, len(course) + 1), course, color=colour, marker="." if len(course) == 1 else "", **look)


def _blank(width: float, height: float, x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def _trials(axes: Axes, learnt: Learnt, lowest: float) -> None:
    """Mark every trial: by its state, or that it has no score or one below the lowest that is shown."""
    comparable = scores(learnt)
    near: dict[str, list[tuple[int, float | None]]] = {state: [] for state in SCORED}
    far: list[int] = []
    lost: list[int] = []
    for number, trial in enumerate(learnt.trials, 1):
        if trial.id not in comparable:
            lost.append(number)
        elif comparable[trial.id] < lowest:
            far.append(number)
        else:
            near[trial.state].append((number, shown(learnt, trial)))
    for state, label, fill in (("finished", "finished", OTHER), ("stopped", "stopped early", "white")):
        if near[state]:
            points = zip(*near[state], strict=True)
            axes.plot(*points, "o", markersize=4.5, color=OTHER, markerfacecolor=fill, label=label)
    if lost:
        _at_the_poor_end(axes, learnt, lost, "x", "failed or unfit")
    if far:
        _at_the_poor_end(axes, learnt, far, "v" if learnt.higher_is_better else "^", "far off")


def _at_the_poor_end(axes: Axes, learnt: Learnt, numbers: Sequence[int], marker: str, label: str) -> None:
    heights = [0.03 if learnt.higher_is_better else 0.97] * len(numbers)
    axes.plot(numbers, heights, marker, color=FAILED, transform=axes.get_xaxis_transform(), label=label)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _own_line(axes: Axes, learnt: Learnt) -> None:
    own = shown(learnt, config_trial(learnt))
    if own is not None:
        axes.axhline(own, color=OWN, linestyle="--", linewidth=1.2, label="the config's own")


def _limit_course(axes: Axes, courses: Mapping[str, Sequence[float]], kept: Sequence[str]) -> None:
    """Leave out of sight what is far out, to either side, as the better one is not known here; but no trial of `kept`."""
    seen = [x for course in courses.values() for x in course if math.isfinite(x)]
    ends = [x for key in kept for x in courses[key][-1:] if math.isfinite(x)]
    if seen:
        axes.set_ylim(*_with_margin(min(floor(seen), *ends, max(seen)), max(-floor([-x for x in seen]), *ends, min(seen))))


def _with_margin(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.02 * abs(high) or 0.1
    return low - margin, high + margin


def _legend(axes: Axes) -> None:
    axes.figure.legend(loc="outside upper left", ncols=6, handlelength=1.8, columnspacing=1.6)
