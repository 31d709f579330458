"""Spaces of hyperparameters: what they hold, what depends on what, what is refused."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from toy_search import OWN_MODEL, space

from models import tabular
from models.training import FitConfig
from models.tuning.space import active, apply, check_space, holds, ordered, own_values

TYPES = {"model": tabular.Config, "fit": FitConfig}
VALUES = {"model": tabular.Config().model_dump(mode="json"), "fit": FitConfig().model_dump(mode="json")}


def refusal(**parameters: Any) -> str:
    with pytest.raises(ValueError) as caught:
        check_space(space(**parameters), TYPES, VALUES)
    return str(caught.value)


def test_stepped_ranges_hold_their_steps_and_nothing_between():
    parameter = space()["model.dropout"]
    assert parameter.grid == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert parameter.holds(0.30000000000000004)
    assert not parameter.holds(0.25)


def test_steps_on_a_log_scale_are_factors():
    units = space(u={"kind": "int", "min": 16, "max": 130, "step": 2, "scale": "log"})["u"]
    assert units.grid == (16, 32, 64, 128)
    rate = space(r={"kind": "float", "min": 0.001, "max": 0.1, "step": 10, "scale": "log"})["r"]
    assert rate.grid == pytest.approx((0.001, 0.01, 0.1))


def test_whole_numbers_hold_no_fractions_and_no_truth_values():
    parameter = space()["model.embedding_dim"]
    assert [parameter.holds(x) for x in (1, 16, 17, 2.5, True)] == [True, True, False, False, False]


def test_lists_are_choices():
    parameter = space()["model.hidden"]
    assert parameter.holds([64, 32])
    assert not parameter.holds([32, 64])


def test_parents_come_before_those_that_depend_on_them():
    names = list(ordered(dict(reversed(space().items()))))
    assert names.index("fit.optimizer") < names.index("fit.weight_decay")


def test_values_of_parameters_that_are_not_searched_are_dropped():
    values = {"fit.optimizer": "adam", "fit.weight_decay": 0.01, "model.dropout": 0.1}
    assert active(space(), values) == {"fit.optimizer": "adam", "model.dropout": 0.1}
    assert active(space(), values | {"fit.optimizer": "adamw"}) == values | {"fit.optimizer": "adamw"}


def test_what_depends_on_a_dropped_parameter_is_dropped_too():
    nested = space(
        a={"kind": "choice", "values": [True, False]},
        b={"kind": "choice", "values": ["x", "y"], "when": {"a": True}},
        c={"kind": "int", "min": 1, "max": 3, "when": {"b": ["x"]}},
    )
    assert active(nested, {"a": False, "b": "x", "c": 2}) == {"a": False}
    assert active(nested, {"a": True, "b": "x", "c": 2}) == {"a": True, "b": "x", "c": 2}


def test_values_go_to_their_places_and_leave_the_original():
    sections = {"model": {"dropout": 0.3, "l2": 0.0}, "fit": {"learning_rate": 0.001}}
    changed = apply({"model.dropout": 0.1, "fit.learning_rate": 0.01}, sections)
    assert changed == {"model": {"dropout": 0.1, "l2": 0.0}, "fit": {"learning_rate": 0.01}}
    assert sections["model"]["dropout"] == 0.3


def test_own_values_are_those_of_the_config_where_the_space_is():
    fit = FitConfig(optimizer="adam").model_dump(mode="json")
    own = own_values(space(), {"model": OWN_MODEL, "fit": fit})
    assert own == {
        "fit.learning_rate": 0.002,
        "model.dropout": 0.3,
        "model.embedding_dim": 4,
        "fit.optimizer": "adam",
        "model.hidden": [128, 64],
    }
    assert holds(space(), own)
    assert not holds(space(), own | {"model.embedding_dim": 17})


def test_space_that_fits_the_config_is_accepted():
    check_space(space(), TYPES, VALUES)


def test_places_that_are_not_there_are_named_with_what_was_meant():
    message = refusal(**{"model.dropot": {"kind": "float", "min": 0, "max": 0.5}})
    assert message.startswith("tuner.space.model.dropot: no such key. Did you mean 'model.dropout'? Expected one of: ")


def test_values_that_the_section_refuses_are_named():
    assert refusal(**{"model.dropout": {"kind": "float", "min": 0, "max": 1}}) == (
        "tuner.space.model.dropout: 1.0 is refused by `model:`: Input should be less than 1."
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("fit.seed", "the luckiest seed is no better on other data"), ("fit.epochs", "longer training always looks at least")],
)
def test_what_must_not_be_searched_is_refused(name: str, reason: str):
    assert refusal(**{name: {"kind": "int", "min": 1, "max": 3}}).startswith(
        f"tuner.space.{name}: cannot be searched: {reason}"
    )


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"fit.optimizr": "adam"}, "'fit.optimizr' is not in the space. Expected one of: fit.optimizer, fit.weight_decay"),
        ({"fit.learning_rate": 0.1}, "'fit.learning_rate' is of kind float. Only on a choice can others depend."),
        ({"fit.optimizer": "sgd"}, '\'fit.optimizer\' is never "sgd". Its values: "adam", "adamw".'),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(condition: dict, reason: str):
    message = refusal(
        **{
            "fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"]},
            "fit.weight_decay": {"kind": "float", "min": 0, "max": 0.1, "when": condition},
            "fit.learning_rate": {"kind": "float", "min": 0.1, "max": 0.2},
        }
    )
    assert message.startswith(f"tuner.space.fit.weight_decay.when: {reason}")


def test_conditions_that_wait_for_each_other_are_refused():
    message = refusal(
        **{
            "fit.optimizer": {"kind": "choice", "values": ["adam", "adamw"], "when": {"model.activation": "relu"}},
            "model.activation": {"kind": "choice", "values": ["relu", "gelu"], "when": {"fit.optimizer": "adam"}},
        }
    )
    assert message.endswith("wait for each other.")
    assert "fit.optimizer" in message
    assert "model.activation" in message


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ({"kind": "float", "min": 2, "max": 1}, "min must be below max, found 2 and 1."),
        ({"kind": "int", "min": 0, "max": 8, "scale": "log"}, "min must be above 0 where the scale is log, found 0."),
        ({"kind": "float", "min": 1, "max": 8, "scale": "log", "step": 0.5}, "a factor above 1 is expected, found 0.5."),
        ({"kind": "int", "min": 1, "max": 8, "scale": "log", "step": 1}, "a factor of at least 2 is expected, found 1."),
        ({"kind": "choice", "values": [[1, 2], [1, 2]]}, "[1, 2] stands twice among the values."),
        ({"kind": "choice", "values": [1]}, "at least 2 items"),
    ],
)
def test_parameters_without_sense_are_refused(parameter: dict, reason: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        space(x=parameter)
    assert reason in str(caught.value)


@pytest.mark.parametrize("hidden", [(224, 128, 64), (64, 32)])
def test_default_space_of_tables_fits_every_config_and_holds_its_widths(hidden: tuple):
    config = tabular.Config(hidden=hidden)
    searched = {f"model.{key}": parameter for key, parameter in tabular.search_space(config).items()}
    check_space(searched, TYPES, VALUES | {"model": config.model_dump(mode="json")})
    assert searched["model.hidden"].holds(list(hidden))
