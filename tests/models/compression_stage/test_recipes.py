"""Recipes: every way to write one, and the orders of steps that are refused."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from models.compression.recipes import PRESETS, TECHNIQUES, Recipe, check_order

STEPS = "distill, prune, cluster, quantize_aware, pack, float16, dynamic, int8, int16x8"


def recipe(written: Any) -> Recipe:
    return Recipe.model_validate(written)


def error_of(written: Any) -> list[tuple[tuple, str]]:
    with pytest.raises(pydantic.ValidationError) as caught:
        recipe(written)
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("preset", "kinds"),
    [
        ("safe", ["float16"]),
        ("balanced", ["prune", "quantize_aware"]),
        ("fastest", ["distill", "pack", "dynamic"]),
        ("smallest", ["distill", "pack", "int8"]),
    ],
)
def test_preset_becomes_its_steps_under_its_own_name(preset: str, kinds: list[str]):
    expanded = recipe(preset)
    assert (expanded.name, [step.kind for step in expanded.steps]) == (preset, kinds)


def test_no_preset_is_left_untested():
    assert list(PRESETS) == ["safe", "balanced", "fastest", "smallest", "raw"]


def test_preset_raw_has_no_steps_and_takes_raw_columns():
    assert (recipe("raw").name, recipe("raw").steps, recipe("raw").inputs) == ("raw", (), "raw")
    assert recipe("smallest").inputs == "transformed"


def test_presets_pack_only_what_can_be_packed_and_prune_by_less_than_the_step_alone():
    assert [step.required for step in recipe("smallest").steps if step.kind == "pack"] == [False]
    assert [step.required for step in recipe(["pack"]).steps] == [True]
    assert recipe("balanced").steps[0].sparsity == 0.6
    assert recipe("prune").steps[0].sparsity == 0.8


@pytest.mark.parametrize("kind", TECHNIQUES)
def test_every_kind_of_step_alone_is_a_recipe_of_that_name(kind: str):
    assert recipe(kind) == recipe([kind]) == recipe([{"kind": kind}]) == recipe({"name": kind, "steps": [{"kind": kind}]})
    assert (recipe(kind).name, [step.kind for step in recipe(kind).steps]) == (kind, [kind])


def test_name_is_made_of_the_kinds_unless_given():
    steps = ["distill", {"kind": "prune", "sparsity": 0.5}, {"kind": "int8", "io": "integer"}]
    assert recipe(steps).name == recipe({"steps": steps}).name == "distill-prune-int8"
    assert recipe({"name": "watch", "steps": steps}).name == "watch"
    assert recipe({"name": "watch", "steps": steps}).steps == recipe(steps).steps
    assert (recipe(steps).steps[1].sparsity, recipe(steps).steps[2].io) == (0.5, "integer")


def test_steps_may_be_a_preset_or_a_single_step_by_name():
    raw = recipe({"name": "raw-smallest", "steps": "smallest", "inputs": "raw"})
    assert (raw.name, raw.steps, raw.inputs) == ("raw-smallest", recipe("smallest").steps, "raw")
    assert recipe({"name": "bytes", "steps": "int8"}).steps == recipe("int8").steps


def test_recipe_survives_being_written_and_read():
    one = recipe(["distill", {"kind": "prune", "sparsity": 0.5}, "cluster", "quantize_aware", "int8"])
    assert Recipe.model_validate_json(one.model_dump_json()) == one


def test_techniques_are_spelled_out_in_order():
    assert recipe(["distill", "prune", "cluster", "quantize_aware"]).techniques == (
        "distillation",
        "pruning",
        "clustering",
        "quantization_aware_training",
    )
    assert recipe(["pack", "int16x8"]).techniques == ("packing", "int16x8")


def test_recipe_knows_its_kinds_of_steps():
    assert recipe(["prune", "int8"]).has("prune")
    assert not recipe(["prune", "int8"]).has("quantize_aware")


@pytest.mark.parametrize("written", ["tiny", {"name": "mine", "steps": "tiny"}])
def test_unknown_name_is_an_error_with_all_that_are_known(written: Any):
    assert error_of(written) == [
        (
            (),
            "Value error, unknown recipe 'tiny'. Presets: safe, balanced, fastest, smallest, raw. "
            f"Single steps: {STEPS}. Or give a list of steps.",
        )
    ]


def test_preset_among_the_steps_is_an_error_with_the_known_steps():
    assert error_of(["prune", "smallest"]) == [((), f"Value error, unknown step 'smallest'. Expected one of: {STEPS}.")]


@pytest.mark.parametrize(("written", "name"), [({"name": "plain"}, "plain"), ({"name": "mine", "steps": []}, "mine")])
def test_recipe_without_steps_is_an_error(written: Any, name: str):
    message = f"Value error, '{name}' has no steps: it would be the reference, 'float32', which is always made."
    assert error_of(written) == [((), message)]


def test_empty_list_of_steps_is_an_error_about_steps_not_about_a_name():
    ((where, message),) = error_of([])
    assert where == ()
    assert "has no steps" in message


def test_raw_columns_need_a_float_input():
    written = {"steps": [{"kind": "int8", "io": "integer"}], "inputs": "raw"}
    message = "Value error, `inputs: raw` needs `io: float`: the transform before the model computes in float."
    assert error_of(written) == [((), message)]
    assert recipe({"steps": ["int8"], "inputs": "raw"}).inputs == "raw"


def test_step_without_a_kind_is_the_only_mistake_that_is_named():
    ((where, message),) = error_of([{"sparsity": 0.5}])
    assert where == ("steps", 0)
    assert message == "Unable to extract tag using discriminator 'kind'"


@pytest.mark.parametrize("name", ["", "a/b", "../up", "-dash", ".hidden", "two words"])
def test_name_that_makes_no_file_name_is_an_error(name: str):
    assert error_of({"name": name, "steps": ["int8"]}) == [
        (("name",), "String should match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$'")
    ]


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        ["distill", "prune", "cluster", "quantize_aware", "int8"],
        ["distill", "pack", "prune", "cluster", "dynamic"],
        ["prune", "pack", "float16"],
        ["cluster", "quantize_aware"],
        ["pack", "quantize_aware", "int8"],
        ["int16x8"],
    ],
)
def test_order_that_makes_sense_is_accepted(kinds: list[str]):
    check_order(kinds)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["prune", "cluster", "prune"], "'prune' comes twice; every step may come once."),
        (["int8", "int8"], "'int8' comes twice; every step may come once."),
        (["prune", "distill"], "'distill' must come first: a student begins anew, what 'prune' did would be lost."),
        (["pack", "cluster", "distill"], "'distill' must come first: a student begins anew, what 'cluster' did would be lost."),
        (
            ["cluster", "prune"],
            "'prune' comes after 'cluster' and would break the clusters. Put it before: clustering then keeps the zeros.",
        ),
        (
            ["cluster", "pack", "prune", "int8"],
            "'prune' comes after 'cluster' and would break the clusters. Put it before: clustering then keeps the zeros.",
        ),
        (["quantize_aware", "prune"], "'quantize_aware' must come last, or before 'int8' only; found 'prune' after it."),
        (["quantize_aware", "float16"], "'quantize_aware' must come last, or before 'int8' only; found 'float16' after it."),
        (
            ["quantize_aware", "int8", "dynamic"],
            "'quantize_aware' must come last, or before 'int8' only; found 'dynamic' after it.",
        ),
        (["float16", "prune"], "quantization must come last; found 'prune' after 'float16'."),
        (["dynamic", "pack"], "quantization must come last; found 'pack' after 'dynamic'."),
        (["int8", "quantize_aware"], "quantization must come last; found 'quantize_aware' after 'int8'."),
        (["int16x8", "float16"], "quantization must come last; found 'float16' after 'int16x8'."),
    ],
)
def test_order_that_undoes_itself_is_refused_with_the_rule(kinds: list[str], message: str):
    with pytest.raises(ValueError) as caught:
        check_order(kinds)
    assert str(caught.value) == message
    assert error_of(kinds) == [(("steps",), f"Value error, {message}")]
