"""Searches as Vertex AI takes them, held to the protocol buffers that Google ships."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vizier_messages import Parsed, config

from models.tuning.space import Choice, Float, Int, Parameter, Space, active, label
from models.tuning.vizier import study_spec
from models.tuning.vizier_space import space_from_study_spec, values_from_trial

OPTIMIZERS = Choice(values=("adam", "adamw", "sgd"))

SPACES: dict[str, Space] = {
    "double": {"a": Float(min=0.0, max=0.5)},
    "double, log": {"a": Float(min=1e-5, max=1.0, scale="log")},
    "double from below zero": {"a": Float(min=-1.5, max=0.0)},
    "double in steps": {"a": Float(min=0.0, max=0.5, step=0.1)},
    "double in steps that end before": {"a": Float(min=0.0, max=1.0, step=0.3)},
    "double in factors": {"a": Float(min=1e-4, max=1e-1, scale="log", step=10)},
    "integer": {"a": Int(min=1, max=9)},
    "integer from zero": {"a": Int(min=0, max=9)},
    "integer in steps of one": {"a": Int(min=-2, max=2, step=1)},
    "integer, log": {"a": Int(min=1, max=1024, scale="log")},
    "integer in steps": {"a": Int(min=16, max=130, step=16)},
    "integer in factors": {"a": Int(min=8, max=256, scale="log", step=2)},
    "large integer": {"a": Int(min=1, max=2**53)},
    "numbers": {"a": Choice(values=(64, 16, 128))},
    "even numbers": {"a": Choice(values=(16, 32, 48))},
    "fractions": {"a": Choice(values=(0.5, 0.0, 0.25))},
    "texts": {"a": OPTIMIZERS},
    "texts that could be JSON": {"a": Choice(values=("true", "1", "null"))},
    "texts some of which could be JSON": {"a": Choice(values=("none", "true"))},
    "truth values": {"a": Choice(values=(True, False))},
    "lists": {"a": Choice(values=([256, 128], [64], []))},
    "mixed": {"a": Choice(values=(None, 1, "1", True, [1]))},
    "texts with signs": {"a": Choice(values=('a "b", c', "ü", "x y"))},
    "condition on texts": {"a": OPTIMIZERS, "b": Float(min=0, max=1, when={"a": ["adamw", "sgd"]})},
    "condition on numbers": {"a": Choice(values=(2, 1, 4)), "b": Int(min=0, max=3, when={"a": [4, 1]})},
    "condition on truth": {"b": Float(min=0, max=1, when={"a": True}), "a": Choice(values=(False, True))},
    "condition on lists": {"a": Choice(values=([8], [8, 8])), "b": Choice(values=(0.5, 0.1), when={"a": [[8, 8]]})},
    "two below one": {"a": OPTIMIZERS, "b": Float(min=0, max=1, when={"a": "sgd"}), "c": Int(min=0, max=5, when={"a": "adam"})},
    "three deep": {
        "a": OPTIMIZERS,
        "b": Choice(values=(1, 2, 3), when={"a": ["sgd", "adam"]}),
        "c": Choice(values=("x", "y"), when={"b": [2, 3]}),
        "d": Float(min=0, max=1, when={"c": "y"}),
    },
    "two conditions, one below the other": {
        "a": OPTIMIZERS,
        "b": Choice(values=(1, 2, 3), when={"a": ["sgd"]}),
        "c": Float(min=0, max=1, when={"a": ["sgd", "adam"], "b": 3}),
    },
    "three conditions in a line": {
        "c": Choice(values=(True, False), when={"b": 3, "a": "sgd"}),
        "d": Float(min=0, max=1, when={"a": ["adam", "sgd"], "c": True, "b": [3, 2]}),
        "a": OPTIMIZERS,
        "b": Choice(values=(1, 2, 3), when={"a": ["sgd"]}),
    },
}


def suggested(space: Space, random: np.random.Generator) -> list[dict[str, Any]]:
    """Draw a trial as Vizier would: from the study spec alone, numbers as doubles."""
    drawn: list[dict[str, Any]] = []
    waiting = list(study_spec(config(), space, "binary")["parameters"])
    while waiting:
        spec = waiting.pop()
        value = _drawn(spec, random)
        drawn.append({"parameterId": spec["parameterId"], "value": value})
        for child in spec.get("conditionalParameterSpecs", []):
            wanted = child.get("parentDiscreteValues") or child["parentCategoricalValues"]
            if value in wanted["values"]:
                waiting.append(child["parameterSpec"])
    return drawn


def _drawn(spec: dict[str, Any], random: np.random.Generator) -> Any:
    if "doubleValueSpec" in spec:
        return float(random.uniform(spec["doubleValueSpec"]["minValue"], spec["doubleValueSpec"]["maxValue"]))
    if "integerValueSpec" in spec:
        ends = [int(spec["integerValueSpec"][key]) for key in ("minValue", "maxValue")]
        return float(random.integers(ends[0], min(ends[1], 10**6) + 1))
    values = (spec.get("discreteValueSpec") or spec["categoricalValueSpec"])["values"]
    value = values[random.integers(len(values))]
    return value if isinstance(value, str) else float(value)


def content(parameter: Parameter) -> Any:
    """Return what a parameter is beside its condition; 1 and 1.0 are the same, as doubles are all that Vizier has."""
    if isinstance(parameter, Choice):
        return sorted(label(float(x) if isinstance(x, int) and not isinstance(x, bool) else x) for x in parameter.values)
    if parameter.step and parameter.step != 1:
        return parameter.kind, parameter.scale, [f"{x:.9g}" for x in parameter.grid or ()]
    return parameter.kind, parameter.scale, parameter.min, parameter.max


@pytest.mark.parametrize("name", SPACES)
def test_space_comes_back_through_the_messages(name: str, parsed: Parsed):
    space = SPACES[name]
    back = space_from_study_spec(parsed("StudySpec", study_spec(config(), space, "binary")))
    assert set(back) == set(space)
    for key, parameter in space.items():
        assert content(back[key]) == content(parameter)


@pytest.mark.parametrize("name", SPACES)
def test_trials_come_back_as_values_of_the_space(name: str, parsed: Parsed):
    space, random = SPACES[name], np.random.default_rng(4)
    back = space_from_study_spec(parsed("StudySpec", study_spec(config(), space, "binary")))
    for _ in range(20):
        parameters = suggested(space, random)
        values = values_from_trial(parameters, space)
        assert set(values) == {item["parameterId"] for item in parameters}
        assert active(space, values) == values
        assert all(space[key].holds(value) for key, value in values.items())
        assert values_from_trial(parameters, back) == values


def test_parameters_are_spelled_as_the_rest_api_takes_them():
    space = {
        "fit.optimizer": OPTIMIZERS,
        "fit.rate": Float(min=1e-4, max=0.1, scale="log"),
        "fit.decay": Float(min=1e-6, max=0.1, scale="log", when={"fit.optimizer": "adamw"}),
        "model.units": Int(min=8, max=64),
        "model.batch": Int(min=16, max=64, scale="log", step=2),
        "model.hidden": Choice(values=([64], [64, 32])),
    }
    assert study_spec(config(), space, "binary")["parameters"] == [
        {
            "parameterId": "fit.optimizer",
            "categoricalValueSpec": {"values": ["adam", "adamw", "sgd"]},
            "conditionalParameterSpecs": [
                {
                    "parentCategoricalValues": {"values": ["adamw"]},
                    "parameterSpec": {
                        "parameterId": "fit.decay",
                        "scaleType": "UNIT_LOG_SCALE",
                        "doubleValueSpec": {"minValue": 1e-6, "maxValue": 0.1},
                    },
                }
            ],
        },
        {"parameterId": "fit.rate", "scaleType": "UNIT_LOG_SCALE", "doubleValueSpec": {"minValue": 1e-4, "maxValue": 0.1}},
        {
            "parameterId": "model.units",
            "scaleType": "UNIT_LINEAR_SCALE",
            "integerValueSpec": {"minValue": "8", "maxValue": "64"},
        },
        {"parameterId": "model.batch", "scaleType": "UNIT_LOG_SCALE", "discreteValueSpec": {"values": [16, 32, 64]}},
        {"parameterId": "model.hidden", "categoricalValueSpec": {"values": ["[64]", "[64, 32]"]}},
    ]


def test_parameter_of_two_conditions_is_nested_under_the_inner_one():
    spec = study_spec(config(), SPACES["two conditions, one below the other"], "binary")["parameters"]
    inner = spec[0]["conditionalParameterSpecs"][0]["parameterSpec"]
    assert [spec[0]["parameterId"], inner["parameterId"]] == ["a", "b"]
    assert inner["conditionalParameterSpecs"][0]["parentDiscreteValues"] == {"values": [3]}
    assert inner["conditionalParameterSpecs"][0]["parameterSpec"]["parameterId"] == "c"


@pytest.mark.parametrize("inner", [{}, {"a": ["sgd", "adam"]}])
def test_independent_conditions_are_refused(inner: dict[str, Any]):
    space = {
        "a": OPTIMIZERS,
        "b": Choice(values=(1, 2), when=inner),
        "c": Float(min=0, max=1, when={"a": "sgd", "b": 2}),
    }
    expected = (
        r"tuner\.space\.c\.when: in Vizier a parameter depends on one other, found a and b\. Let one of these "
        r"depend on the other, on no more values of it than here; or leave one condition out\."
    )
    with pytest.raises(ValueError, match=expected):
        study_spec(config(), space, "binary")


def test_too_many_and_too_close_values_are_refused():
    with pytest.raises(
        ValueError, match=r"tuner\.space\.a: Vizier takes at most 1000 discrete values, found 1001\. Widen the steps"
    ):
        study_spec(config(), {"a": Float(min=0, max=1, step=0.001)}, "binary")
    with pytest.raises(ValueError, match=r"tuner\.space\.a: Vizier cannot tell 1e-12 from 1e-11"):
        study_spec(config(), {"a": Float(min=1e-12, max=1, scale="log", step=10)}, "binary")
    with pytest.raises(ValueError, match=r"tuner\.space\.a: Vizier cannot tell 1 from 1\.0"):
        study_spec(config(), {"a": Choice(values=(1, 1.0))}, "binary")


def test_values_of_the_command_line_are_texts():
    space = {"a": Int(min=1, max=9), "b": Float(min=0, max=1), "c": Choice(values=(True, False)), "d": Choice(values=(16, 32))}
    texts = {"a": "3", "b": "0.25", "c": "true", "d": "32.0"}
    values = values_from_trial([{"parameterId": name, "value": text} for name, text in texts.items()], space)
    assert values == {"a": 3, "b": 0.25, "c": True, "d": 32}
    assert isinstance(values["d"], int)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"b": 1.0}, r"Vizier suggests a value for 'b'\. Expected one of: a, c\."),
        ({"a": "rmsprop"}, r"Vizier's value 'rmsprop' of 'a' is unknown\. Expected one of: adam, adamw, sgd\."),
        ({"a": "sgd", "c": 7.5}, r"Vizier's value 7\.5 of 'c' is unknown"),
        ({"a": "sgd"}, r"Vizier suggests no value for c\. Found: a\."),
        ({}, r"Vizier suggests no value for a\. Found: nothing\."),
    ],
)
def test_values_of_another_space_are_refused(parameters: dict[str, Any], expected: str):
    space = {"a": OPTIMIZERS, "c": Int(min=1, max=9, when={"a": "sgd"})}
    with pytest.raises(ValueError, match=expected):
        values_from_trial([{"parameterId": name, "value": value} for name, value in parameters.items()], space)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (
            [{"parameterId": "a", "scaleType": "UNIT_REVERSE_LOG_SCALE", "doubleValueSpec": {"minValue": 1, "maxValue": 2}}],
            r"Vizier parameter 'a': scale UNIT_REVERSE_LOG_SCALE is not one of linear, log\.",
        ),
        (
            [{"parameterId": "a", "categoricalValueSpec": {"values": ["x", "y"]}}] * 2,
            r"Vizier parameter 'a' stands twice\. Expected one spec, whose condition lists all values\.",
        ),
        (
            [
                {
                    "parameterId": "a",
                    "integerValueSpec": {"maxValue": "3"},
                    "conditionalParameterSpecs": [
                        {"parentIntValues": {"values": ["1"]}, "parameterSpec": {"parameterId": "b"}}
                    ],
                }
            ],
            r"Vizier parameter 'a' is of kind int\. Only on a choice can others depend\.",
        ),
    ],
)
def test_study_that_a_space_cannot_say_is_refused(parameters: list[dict[str, Any]], expected: str):
    with pytest.raises(ValueError, match=expected):
        space_from_study_spec({"parameters": parameters})
