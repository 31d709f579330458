"""All settings of all trials at once: an axis for each parameter, a line for each trial (Inselberg 1985)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.tuning.report import drawing
from models.tuning.report.axes import Axis, axis_of, floor
from models.tuning.report.drawing import BEST, DARKEST_IS_BEST, OWN, PALEST, Chart
from models.tuning.report.findings import found_trial, named, readable, scores, shown
from models.tuning.report.importance import Importances
from models.tuning.space import Space
from models.tuning.trials import CONFIG_TRIAL, Learnt, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More axes than that cannot be read side by side: the least important are left out.
MAX_AXES = 12
_LONGEST_LABEL = 16


def parallel_coordinates_chart(learnt: Learnt, space: Space, importances: Importances) -> Chart | None:
    """Draw them, the better the darker; None where no trial has a score.

    A trial's line has a gap where a parameter is not searched in it.
    """
    comparable = scores(learnt)
    if not comparable:
        return None
    trials = sorted((t for t in learnt.trials if t.id in comparable), key=lambda trial: comparable[trial.id])
    shares = importances.shares
    names = sorted(sorted(space, key=lambda name: -shares.get(name, 0.0))[:MAX_AXES], key=_from_the_left(space, shares))
    axes_of = {name: axis_of(space[name], [t.values[name] for t in trials if name in t.values]) for name in names}
    metric = _metric_axis(list(comparable.values()), learnt.higher_is_better)
    found = found_trial(learnt)
    description = f"{len(trials)} trials by {', '.join(names)} and {learnt.score_name}."
    if found:
        values = ", ".join(f"{name} {found.values[name]}" for name in names if name in found.values)
        description += f" Of {named(found)}: {values}; {learnt.score_name} {readable(shown(learnt, found))}."

    def draw() -> Figure:
        figure, axes = _frame([*(_two_lines(name) for name in names), learnt.score_name])
        for position, axis in enumerate([*axes_of.values(), metric]):
            _ticks(axes, position, axis)
        for rank, trial in enumerate(trials):
            places = [axes_of[name].at(trial.values[name]) if name in trial.values else None for name in names]
            places.append(min(max(metric.at(shown(learnt, trial)) or 0.0, 0.0), 1.0))
            strong = trial is found or trial.id == CONFIG_TRIAL
            _line(axes, places, _colour(trial, found, rank / max(len(trials) - 1, 1)), strong)
        return figure

    return drawing.drawn("parallel-coordinates", "Settings and results of all trials", description, draw)


def _from_the_left(space: Space, shares: Mapping[str, float]) -> Callable[[str], tuple[bool, float]]:
    """Return a sort key: first what is only sometimes searched, as gaps break lines; what matters most beside the result."""
    return lambda name: (not space[name].when, shares.get(name, 0.0))


def _metric_axis(comparable: Sequence[float], higher_is_better: bool) -> Axis:
    """Return an axis on which better is higher; trials below its end are drawn at it."""
    low, high = floor(comparable), max(comparable)
    if low == high:
        low, high = low - (0.01 * abs(low) or 0.1), high + (0.01 * abs(high) or 0.1)
    return Axis(low, high) if higher_is_better else Axis(-low, -high)


def _frame(titles: Sequence[str]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(9.0, 1.2 * len(titles)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(-0.25, len(titles) - 0.4), ylim=(-0.06, 1.05), yticks=[])
    axes.set_xticks(range(len(titles)), titles)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0, pad=6)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure, axes


def _ticks(axes: Axes, position: int, axis: Axis) -> None:
    axes.plot([position, position], [0, 1], color="#9aa5b1", linewidth=1.0, zorder=1)
    for place, text in _marks(axis):
        short = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
        axes.annotate(
            short, (position, place), (5, 0), textcoords="offset points", va="center", fontsize=7.5, zorder=5, bbox=box
        )


def _marks(axis: Axis) -> list[tuple[float, str]]:
    """Return (place, text) of what is written at an axis: its ends, and what is round between them."""
    if axis.labels:
        last = max(len(axis.labels) - 1, 1)
        return [(position / last, text.strip('"')) for position, text in enumerate(axis.labels)]
    if axis.log:
        powers = range(math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high)) + 1)
        digits = (1, 2, 5) if len(powers) <= 2 else (1,)
        between = [digit * 10.0**power for power in [powers.start - 1, *powers] for digit in digits]
    else:
        between = [axis.low + share * (axis.high - axis.low) for share in (0.25, 0.5, 0.75)]
    places = [(axis.at(x) or 0.0, x) for x in between]
    inner = [(place, x) for place, x in places if 0.08 < place < 0.92]
    return [(place, f"{x:.4g}") for place, x in [(0.0, axis.low), *inner, (1.0, axis.high)]]


def _colour(trial: Trial, found: Trial | None, rank: float) -> str:
    import matplotlib
    from matplotlib.colors import to_hex

    if trial is found:
        return BEST
    if trial.id == CONFIG_TRIAL:
        return OWN
    return to_hex(matplotlib.colormaps[DARKEST_IS_BEST](PALEST + rank * (1 - PALEST)))


def _line(axes: Axes, places: Sequence[float | None], colour: str, strong: bool) -> None:
    heights = [math.nan if place is None else place for place in places]
    look: dict[str, Any] = (
        {"linewidth": 2.2, "alpha": 1.0, "zorder": 4} if strong else {"linewidth": 0.9, "alpha": 0.7, "zorder": 2}
    )
    axes.plot(range(len(heights)), heights, color=colour, marker="o", markersize=4 if strong else 2.5, **look)


def _two_lines(name: str) -> str:
    section, _, key = name.rpartition(".")
    return f"{section}.\n{key}" if section else key
