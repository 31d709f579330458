"""A space in the words of Vertex AI Vizier, and back: parameter specs as its REST API takes them, and the values of its trials.

Float is a double, Int an integer; either with steps is discrete, as Vizier has no steps. A choice of numbers is discrete, any
other categorical. A discrete parameter with a scale was a range, one without it a choice. Numbers come back as doubles: 1 and
1.0 are the same choice here, and a Float all of whose steps are whole comes back as an Int.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from models.tuning.report.axes import is_number
from models.tuning.space import Choice, Float, Int, Parameter, Space, Values, active, label, ordered

Spec = dict[str, Any]

# Limits of a DiscreteValueSpec.
_MOST_VALUES, _CLOSEST = 1000, 1e-10
_SCALES = {"linear": "UNIT_LINEAR_SCALE", "log": "UNIT_LOG_SCALE"}


def parameter_specs(space: Space, grid: Mapping[str, Sequence[float]] | None = None) -> list[Spec]:
    """Return the parameter specs of a space: those that wait for another one nested in that one's.

    Args:
      space: {place in the config: parameter}.
      grid: {parameter: the only values of its range to try}.

    Raises:
      ValueError: Vizier cannot say it.
    """
    specs = {name: _spec(name, parameter, (grid or {}).get(name)) for name, parameter in ordered(space).items()}
    roots = []
    for name, parameter in ordered(space).items():
        if not parameter.when:
            roots.append(specs[name])
            continue
        parent = _parent(name, space)
        condition = _condition(specs[parent], space[parent], parameter.when[parent])
        specs[parent].setdefault("conditionalParameterSpecs", []).append(condition | {"parameterSpec": specs[name]})
    return roots


def space_from_study_spec(study_spec: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the space that a study spec in JSON form searches.

    Raises:
      ValueError: a space cannot say it.
    """
    space: dict[str, Parameter] = {}
    waiting: list[tuple[Mapping[str, Any], dict[str, Any]]] = [(spec, {}) for spec in study_spec.get("parameters", [])]
    while waiting:
        spec, when = waiting.pop(0)
        name = spec["parameterId"]
        if name in space:
            raise ValueError(f"Vizier parameter '{name}' stands twice. Expected one spec, whose condition lists all values.")
        space[name] = _parameter(spec, when)
        for child in spec.get("conditionalParameterSpecs", []):
            waiting.append((child["parameterSpec"], {name: _wanted(name, space[name], child)}))
    return space


def values_from_trial(parameters: Iterable[Mapping[str, Any]], space: Space) -> Values:
    """Return the values of a trial that Vizier suggests.

    Args:
      parameters: of the trial, each {"parameterId": place in the config, "value": number or text}; a number may be a text too,
        as on the command line of a trial's job.
      space: whose parameter specs the study has.

    Raises:
      ValueError: they are not from that space.
    """
    values: Values = {}
    for item in parameters:
        name = item["parameterId"]
        if name not in space:
            raise ValueError(f"Vizier suggests a value for '{name}'. Expected one of: {', '.join(space)}.")
        values[name] = _value(name, space[name], item["value"])
    kept = active(space, dict.fromkeys(space) | values)
    if missing := [name for name in kept if name not in values]:
        raise ValueError(f"Vizier suggests no value for {', '.join(missing)}. Found: {', '.join(values) or 'nothing'}.")
    return kept


def _spec(name: str, parameter: Parameter, only: Sequence[float] | None) -> Spec:
    spec: Spec = {"parameterId": name}
    if isinstance(parameter, Choice):
        if _are_numbers(parameter.values):
            return spec | {"discreteValueSpec": _discrete(name, parameter.values)}
        return spec | {"categoricalValueSpec": {"values": _texts(parameter.values)}}
    spec["scaleType"] = _SCALES[parameter.scale]
    if only is None and parameter.step and not (isinstance(parameter, Int) and parameter.step == 1):
        only = parameter.grid
    if only is not None:
        return spec | {"discreteValueSpec": _discrete(name, only)}
    if isinstance(parameter, Int):
        # 64-bit integers are texts in the JSON form of protocol buffers.
        return spec | {"integerValueSpec": {"minValue": str(parameter.min), "maxValue": str(parameter.max)}}
    return spec | {"doubleValueSpec": {"minValue": parameter.min, "maxValue": parameter.max}}


def _discrete(name: str, values: Sequence[float]) -> Spec:
    numbers = sorted(values)
    if len(numbers) > _MOST_VALUES:
        raise ValueError(
            f"tuner.space.{name}: Vizier takes at most {_MOST_VALUES} discrete values, found {len(numbers)}. Widen the "
            "steps, or leave them out."
        )
    for low, high in pairwise(numbers):
        if high - low < _CLOSEST:
            raise ValueError(
                f"tuner.space.{name}: Vizier cannot tell {low!r} from {high!r}, which are less than {_CLOSEST:g} apart. Leave "
                "one out, or the steps."
            )
    return {"values": numbers}


def _parent(name: str, space: Space) -> str:
    """Return the one parameter to nest under: whose own conditions imply all others."""
    when = space[name].when
    for parent in when:
        implied = _implied(parent, space)
        others = {other: wanted for other, wanted in when.items() if other != parent}
        if all(other in implied and implied[other] <= _labels(wanted) for other, wanted in others.items()):
            return parent
    raise ValueError(
        f"tuner.space.{name}.when: in Vizier a parameter depends on one other, found {' and '.join(when)}. Let one of these "
        "depend on the other, on no more values of it than here; or leave one condition out."
    )


def _implied(name: str, space: Space) -> dict[str, set[str]]:
    """Return {parameter: labels} that hold wherever a parameter is searched."""
    implied: dict[str, set[str]] = {}
    for parent, wanted in space[name].when.items():
        for other, labels in ({parent: _labels(wanted)} | _implied(parent, space)).items():
            implied[other] = implied.get(other, labels) & labels
    return implied


def _condition(spec: Spec, parent: Parameter, wanted: Sequence[Any]) -> Spec:
    if "discreteValueSpec" in spec:
        return {"parentDiscreteValues": {"values": sorted(wanted)}}
    texts = dict(zip(map(label, parent.grid or ()), spec["categoricalValueSpec"]["values"], strict=True))
    return {"parentCategoricalValues": {"values": [texts[label(value)] for value in wanted]}}


def _parameter(spec: Mapping[str, Any], when: dict[str, Any]) -> Parameter:
    """Return a parameter. The JSON form of protocol buffers leaves out what is 0."""
    scale = {text: ours for ours, text in _SCALES.items()}.get(spec.get("scaleType", "UNIT_LINEAR_SCALE"))
    if scale is None:
        raise ValueError(f"Vizier parameter '{spec['parameterId']}': scale {spec['scaleType']} is not one of linear, log.")
    if double := spec.get("doubleValueSpec"):
        return Float(min=double.get("minValue", 0.0), max=double.get("maxValue", 0.0), scale=scale, when=when)
    if integer := spec.get("integerValueSpec"):
        return Int(min=int(integer.get("minValue", 0)), max=int(integer.get("maxValue", 0)), scale=scale, when=when)
    if categorical := spec.get("categoricalValueSpec"):
        return Choice(values=_from_texts(categorical["values"]), when=when)
    numbers = _from_doubles(spec["discreteValueSpec"]["values"])
    step = _step(numbers, scale) if "scaleType" in spec else None
    if step is None:
        return Choice(values=numbers, when=when)
    type_ = Int if all(isinstance(number, int) for number in numbers) else Float
    return type_(min=numbers[0], max=numbers[-1], scale=scale, step=step, when=when)


def _step(numbers: Sequence[float], scale: str) -> float | None:
    """Return the difference, or the factor, between each two numbers; None where they differ."""
    steps = [high / low if scale == "log" else high - low for low, high in pairwise(numbers)]
    if not steps or any(not math.isclose(step, steps[0], rel_tol=1e-9) for step in steps):
        return None
    return round(steps[0]) if all(isinstance(number, int) for number in numbers) else steps[0]


def _wanted(name: str, parent: Parameter, condition: Mapping[str, Any]) -> tuple[Any, ...]:
    if not isinstance(parent, Choice):
        raise ValueError(f"Vizier parameter '{name}' is of kind {parent.kind}. Only on a choice can others depend.")
    if discrete := condition.get("parentDiscreteValues"):
        return tuple(_value(name, parent, number) for number in discrete["values"])
    return tuple(_value(name, parent, text) for text in condition["parentCategoricalValues"]["values"])


def _value(name: str, parameter: Parameter, value: Any) -> Any:
    """Return what a value of Vizier's is in a parameter."""
    if isinstance(parameter, Choice) and not _are_numbers(parameter.values):
        known = dict(zip(_texts(parameter.values), parameter.values, strict=True))
        if value in known:
            return known[value]
        raise ValueError(f"Vizier's value {value!r} of '{name}' is unknown. Expected one of: {', '.join(known)}.")
    number = float(value)
    if isinstance(parameter, Float) and parameter.grid is None:
        return number
    # Of a long range of integers not the nearest is looked for, among all of them.
    grid = (round(number),) if isinstance(parameter, Int) and math.isfinite(number) else parameter.grid or ()
    near = min(grid, key=lambda x: abs(x - number), default=math.nan)
    if not math.isclose(near, number, rel_tol=1e-9, abs_tol=_CLOSEST) or not parameter.holds(near):
        raise ValueError(f"Vizier's value {value!r} of '{name}' is unknown: none of that parameter's.")
    return near


def _texts(values: Sequence[Any]) -> list[str]:
    """Return choices as texts: themselves where all are, or JSON, which also tells 1 from "1"."""
    plain = all(isinstance(value, str) for value in values) and not all(map(_is_json, values))
    return list(values) if plain else [label(value) for value in values]


def _from_texts(texts: Sequence[str]) -> tuple[Any, ...]:
    return tuple(map(json.loads, texts)) if all(map(_is_json, texts)) else tuple(texts)


def _from_doubles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(map(int, values)) if all(float(value).is_integer() for value in values) else tuple(values)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(map(is_number, values))


def _labels(values: Iterable[Any]) -> set[str]:
    return set(map(label, values))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
