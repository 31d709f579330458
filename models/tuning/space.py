"""The space of a search: parameters by the place in the config that they set, with ranges, choices and conditions."""

from __future__ import annotations

import copy
import difflib
import graphlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

Values = dict[str, Any]
Space = Mapping[str, "Parameter"]
# Sections of the config that a search may set.
SECTIONS = ("model", "fit")
# What no search may set, and why not.
_FORBIDDEN = {
    "fit.seed": "the luckiest seed is no better on other data",
    "fit.epochs": "longer training always looks at least as good; `tuner.budget` limits what a trial may take",
}


class _Parameter(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    when: dict[str, tuple[Any, ...]] = pydantic.Field(
        {},
        description="Only searched where other parameters, which must be choices, have one of these values; elsewhere the "
        "config's own value holds: {fit.optimizer: [adamw]}.",
    )

    @pydantic.field_validator("when", mode="before")
    @classmethod
    def _listed(cls, when: Any) -> Any:
        return (
            {name: x if isinstance(x, list | tuple) else (x,) for name, x in when.items()} if isinstance(when, dict) else when
        )


class Float(_Parameter):
    """A number from a range."""

    kind: Literal["float"] = "float"
    min: float
    max: float
    scale: Literal["linear", "log"] = pydantic.Field("linear", description="log: each order of magnitude counts the same.")
    step: float | None = pydantic.Field(
        None, gt=0, description="Only every so manieth number: a difference, or with scale log a factor above 1."
    )

    @pydantic.model_validator(mode="after")
    def _range(self) -> Float:
        _check_range(self.min, self.max, self.scale)
        if self.step is not None and self.scale == "log" and self.step <= 1:
            raise ValueError(f"step: with scale log a factor above 1 is expected, found {self.step:g}.")
        return self

    @property
    def grid(self) -> tuple[float, ...] | None:
        """The values that there are, None where there are infinitely many."""
        return tuple(float(f"{x:.12g}") for x in _stepped(self.min, self.max, self.scale, self.step)) if self.step else None

    def holds(self, value: Any) -> bool:
        """Tell whether a value lies in the range, and on a step if there are steps."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.grid is not None:
            return any(math.isclose(value, x, rel_tol=1e-6, abs_tol=1e-12) for x in self.grid)
        return self.min <= value <= self.max


class Int(_Parameter):
    """A whole number from a range, both ends included."""

    kind: Literal["int"] = "int"
    min: int
    max: int
    scale: Literal["linear", "log"] = "linear"
    step: int | None = pydantic.Field(None, ge=1, description="A difference, or with scale log a factor of at least 2.")

    @pydantic.model_validator(mode="after")
    def _range(self) -> Int:
        _check_range(self.min, self.max, self.scale)
        if self.step == 1 and self.scale == "log":
            raise ValueError("step: with scale log a factor of at least 2 is expected, found 1.")
        return self

    @property
    def grid(self) -> tuple[int, ...]:
        """The values that there are."""
        if self.step is None:
            return tuple(range(self.min, self.max + 1))
        return tuple(int(x) for x in _stepped(self.min, self.max, self.scale, self.step))

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of these."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.min <= value <= self.max if self.step is None else value in self.grid


class Choice(_Parameter):
    """One of some values: numbers, texts, truth values or lists such as the widths of all layers."""

    kind: Literal["choice"] = "choice"
    values: tuple[Any, ...] = pydantic.Field(..., min_length=2)

    @pydantic.field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        labels = [label(value) for value in values]
        if twice := [text for text in labels if labels.count(text) > 1]:
            raise ValueError(f"{twice[0]} stands twice among the values. Give each once.")
        return values

    @property
    def grid(self) -> tuple[Any, ...]:
        """The values that there are."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of these."""
        return label(value) in {label(x) for x in self.values}


Parameter = Annotated[Float | Int | Choice, pydantic.Field(discriminator="kind")]


def label(value: Any) -> str:
    """Return a value as JSON: what tells choices apart, lists among them."""
    return json.dumps(value)


def check_space(space: Space, types: Mapping[str, type[pydantic.BaseModel]], values: Mapping[str, Values]) -> None:
    """Hold a space to the config that it is a space of.

    Args:
      space: {place in the config, such as "fit.learning_rate": parameter}.
      types: {section: its type}.
      values: {section: its values}, to which a parameter's are applied one at a time.

    Raises:
      ValueError: a parameter sets what is not there, or what its section refuses, or waits for a parameter that is none.
    """
    for name, parameter in space.items():
        section, _, key = name.partition(".")
        if section not in types or key not in types[section].model_fields:
            known = [f"{s}.{k}" for s, type_ in types.items() for k in type_.model_fields if f"{s}.{k}" not in _FORBIDDEN]
            near = "".join(f" Did you mean '{x}'?" for x in difflib.get_close_matches(name, known, n=1))
            raise ValueError(f"tuner.space.{name}: no such key.{near} Expected one of: {', '.join(known)}.")
        if name in _FORBIDDEN:
            raise ValueError(f"tuner.space.{name}: cannot be searched: {_FORBIDDEN[name]}.")
        for value in _extremes(parameter):
            try:
                types[section].model_validate(values[section] | {key: value})
            except pydantic.ValidationError as error:
                reasons = "; ".join(e["msg"] for e in error.errors())
                raise ValueError(f"tuner.space.{name}: {label(value)} is refused by `{section}:`: {reasons}.") from error
        _check_condition(name, parameter, space)
    try:
        ordered(space)
    except graphlib.CycleError as error:
        raise ValueError(f"tuner.space: the conditions of {', '.join(error.args[1][1:])} wait for each other.") from error


def ordered(space: Space) -> dict[str, Parameter]:
    """Return the parameters, each after those that its condition names."""
    names = graphlib.TopologicalSorter({name: list(parameter.when) for name, parameter in space.items()}).static_order()
    return {name: space[name] for name in names}


def active(space: Space, values: Values) -> Values:
    """Return those values whose parameter is searched, as the others' values are."""
    kept: Values = {}
    for name, parameter in ordered(space).items():
        met = all(parent in kept and _among(kept[parent], wanted) for parent, wanted in parameter.when.items())
        if met and name in values:
            kept[name] = values[name]
    return kept


def apply(values: Values, sections: Mapping[str, Values]) -> dict[str, Values]:
    """Return the sections {section: values} with the values of a trial {place: value} put in their places."""
    changed = copy.deepcopy(dict(sections))
    for name, value in values.items():
        section, _, key = name.partition(".")
        changed[section][key] = value
    return changed


def own_values(space: Space, sections: Mapping[str, Values]) -> Values:
    """Return what the config itself says where the space is: {place: value}, whether the space holds it or not."""
    places = {name: sections[name.partition(".")[0]][name.partition(".")[2]] for name in space}
    return active(space, {name: list(value) if isinstance(value, tuple) else value for name, value in places.items()})


def holds(space: Space, values: Values) -> bool:
    """Tell whether the space holds all these values."""
    return all(space[name].holds(value) for name, value in values.items())


def _check_range(low: float, high: float, scale: str) -> None:
    if low >= high:
        raise ValueError(f"min must be below max, found {low:g} and {high:g}.")
    if scale == "log" and low <= 0:
        raise ValueError(f"min must be above 0 where the scale is log, found {low:g}.")


def _check_condition(name: str, parameter: Parameter, space: Space) -> None:
    for parent, wanted in parameter.when.items():
        if parent not in space:
            raise ValueError(f"tuner.space.{name}.when: '{parent}' is not in the space. Expected one of: {', '.join(space)}.")
        other = space[parent]
        if not isinstance(other, Choice):
            raise ValueError(
                f"tuner.space.{name}.when: '{parent}' is of kind {other.kind}. Only on a choice can others depend."
            )
        for value in wanted:
            if not other.holds(value):
                raise ValueError(
                    f"tuner.space.{name}.when: '{parent}' is never {label(value)}. Its values: "
                    f"{', '.join(map(label, other.values))}."
                )


def _among(value: Any, wanted: tuple[Any, ...]) -> bool:
    return label(value) in {label(x) for x in wanted}


def _extremes(parameter: Parameter) -> tuple[Any, ...]:
    return parameter.values if isinstance(parameter, Choice) else (parameter.min, parameter.max)


def _stepped(low: float, high: float, scale: str, step: float) -> list[float]:
    number = math.log(high / low, step) if scale == "log" else (high - low) / step
    positions = range(math.floor(number + 1e-9) + 1)
    return [low * step**n if scale == "log" else low + n * step for n in positions]
