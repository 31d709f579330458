"""The page about a search: one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from models.tuning.report import charts
from models.tuning.report.axes import is_number
from models.tuning.report.drawing import Chart
from models.tuning.report.findings import config_trial, found_trial, gain, headline, named, readable, scores, shown
from models.tuning.report.importance import MIN_TRIALS, Importances
from models.tuning.report.page_template import TEMPLATE
from models.tuning.report.parallel_coordinates import MAX_AXES, parallel_coordinates_chart
from models.tuning.space import Choice, Parameter, Space, label
from models.tuning.trials import CONFIG_TRIAL, Learnt, Trial

NONE = "-"


def page(learnt: Learnt, space: Space, importances: Importances) -> str:
    """Return the page.

    Args:
      learnt: by the search.
      space: that was searched.
      importances: of its parameters.
    """
    import jinja2

    found = found_trial(learnt)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = environment.from_string(TEMPLATE).render(
        headline=headline(learnt),
        facts=_facts(learnt),
        improved=learnt.improved,
        found=named(found) if found else None,
        settings=[_setting(name, parameter, config_trial(learnt), found) for name, parameter in space.items()],
        results=_results(learnt, found),
        charts=_charts(learnt, space, importances),
        importances=importances,
        explained=f"{max(importances.r2 or 0.0, 0.0):.0%}",
        without_importances=_without_importances(importances),
        num_hidden=max(len(space) - MAX_AXES, 0),
        score_name=learnt.score_name,
        course_name=charts.course_name(learnt),
        metric_names=_metric_names(learnt),
        trials=_rows(learnt, space),
    )
    return text + "\n"


def duration(seconds: float) -> str:
    """Write a duration in the unit that fits: 8.5 s, 12 min, 3.2 h."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{seconds / 3600:.3g} h"


def _facts(learnt: Learnt) -> list[tuple[str, str]]:
    states = Counter(trial.state for trial in learnt.trials)
    difference = gain(learnt) if learnt.improved else None
    return [
        ("objective", learnt.objective),
        *([("gain", f"{difference:.2g}")] if difference is not None else []),
        ("trials", f"{len(learnt.trials)}: {', '.join(f'{number} {state}' for state, number in states.items())}"),
        ("algorithm", learnt.algorithm),
        ("epochs", str(sum(trial.epochs for trial in learnt.trials))),
        ("time", duration(learnt.seconds)),
        ("ended by", learnt.ended_by),
    ]


def _charts(learnt: Learnt, space: Space, importances: Importances) -> dict[str, dict[str, Any] | None]:
    drawn = {
        "best_so_far": charts.best_so_far_chart(learnt),
        "importance": charts.importance_chart(importances),
        "parallel": parallel_coordinates_chart(learnt, space, importances),
        "course": charts.course_chart(learnt),
    }
    return {name: _safe(chart) for name, chart in drawn.items()}


def _safe(chart: Chart | None) -> dict[str, Any] | None:
    from markupsafe import Markup

    # The XML library has escaped what is text in it.
    return {"svg": Markup(chart.svg), "width_px": chart.width_px} if chart else None


def _without_importances(importances: Importances) -> str:
    if importances.num_trials < MIN_TRIALS:
        return (
            f"Importances need {MIN_TRIALS} trials with a score that do not go on from another one's, found "
            f"{importances.num_trials}: with fewer they would be chance."
        )
    return "All trials have the same score: no setting mattered."


def _setting(name: str, parameter: Parameter, own: Trial | None, found: Trial | None) -> dict[str, Any]:
    before, after = ({} if trial is None else trial.values for trial in (own, found))
    return {
        "name": name,
        "own": _text(before, name),
        "found": _text(after, name),
        "differs": name in after and (name not in before or label(before[name]) != label(after[name])),
        "searched": _searched(parameter),
    }


def _searched(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        text = ", ".join(map(_plain, parameter.values))
    else:
        text = f"{parameter.min:g} to {parameter.max:g}{', log' if parameter.scale == 'log' else ''}"
        text += f", {'factor' if parameter.scale == 'log' else 'step'} {parameter.step:g}" if parameter.step else ""
    conditions = [f"{parent} is {' or '.join(map(_plain, wanted))}" for parent, wanted in parameter.when.items()]
    return text + (f"; where {' and '.join(conditions)}" if conditions else "")


def _results(learnt: Learnt, found: Trial | None) -> list[dict[str, str]]:
    own = config_trial(learnt)
    return [
        {"name": name, "own": _metric(learnt, own, name), "found": _metric(learnt, found, name)}
        for name in _metric_names(learnt)
    ]


def _metric_names(learnt: Learnt) -> list[str]:
    """Return the objective's name, then those of all else that was measured."""
    return list(dict.fromkeys([learnt.score_name, *(name for trial in learnt.trials for name in trial.metrics)]))


def _metric(learnt: Learnt, trial: Trial | None, name: str) -> str:
    if trial is None:
        return NONE
    return readable(trial.metrics.get(name, shown(learnt, trial) if name == learnt.score_name else None))


def _rows(learnt: Learnt, space: Space) -> list[dict[str, Any]]:
    comparable = scores(learnt)
    ranks = {identity: rank for rank, identity in enumerate(sorted(comparable, key=lambda x: -comparable[x]), 1)}
    return [
        {
            "number": number,
            "id": trial.id,
            "look": "best" if trial.id == learnt.best else "own" if trial.id == CONFIG_TRIAL else "",
            "rank": ranks.get(trial.id, NONE),
            "state": trial.state,
            "metrics": [_metric(learnt, trial, name) for name in _metric_names(learnt)],
            "seconds": f"{trial.seconds:.1f}",
            "epochs": f"{trial.epochs} of {trial.last_epoch}" if trial.epochs != trial.last_epoch else str(trial.epochs),
            "chosen": [_text(trial.values, name) for name in space],
            "course": [(name, _numbers(values)) for name, values in trial.course.items()],
            "remark": "; ".join(filter(None, [f"goes on from {trial.parent}" if trial.parent else "", trial.error])),
        }
        for number, trial in enumerate(learnt.trials, 1)
    ]


def _text(values: Mapping[str, Any], name: str) -> str:
    return _plain(values[name]) if name in values else NONE


def _plain(value: Any) -> str:
    if isinstance(value, float) and is_number(value):
        return f"{value:.4g}"
    return value if isinstance(value, str) else label(value)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.5g}" for value in values)
