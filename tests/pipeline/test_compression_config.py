"""The compression section of a config file: what is accepted, and what is said of every mistake, with its place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.compression import litert
from models.compression.config import ChoiceWeights, CompressionConfig, EdgeGates, Limits
from models.compression.quantization import Representative
from pipeline.config import load_config
from pipeline.errors import ConfigError

MINI: Mapping[str, Any] = {
    "name": "mini",
    "task": "tabular",
    "data": {"path": "data.csv"},
    "label": {"kind": "binary", "column": "tipped"},
    "features": {"fare": {"kind": "numeric"}, "company": {"kind": "categorical"}},
    "model": {"hidden": [16, 8]},
    "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
}
REGRESSION = {"label": {"kind": "regression", "column": "tip"}, "gates": [{"kind": "bound", "metric": "rmse", "bound": 3}]}
STEPS = "distill, prune, cluster, quantize_aware, pack, float16, dynamic, int8, int16x8"

Load = Callable[..., CompressionConfig]


@pytest.fixture
def load(path: Path) -> Load:
    """Write a config with a compression section that has a gate unless it is given one, and load that section."""

    def write_and_load(sections: Mapping[str, Any] | None = None, **compression: Any) -> CompressionConfig:
        values = copy.deepcopy(dict(MINI)) | (sections or {}) | {"compression": {"gates": {"metric": "auc"}} | compression}
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_config(path).compression

    return write_and_load


@pytest.fixture
def error_of(load: Load, path: Path) -> Callable[..., str]:
    """Load what cannot be loaded; return what is said after the file's name."""

    def catch(sections: Mapping[str, Any] | None = None, **compression: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            load(sections, **compression)
        said = str(caught.value)
        assert said.startswith(f"{path}: ")
        return said.removeprefix(f"{path}: ")

    return catch


def test_defaults_fill_what_is_not_given(load: Load):
    config = load()
    assert [(recipe.name, recipe.inputs, [step.kind for step in recipe.steps]) for recipe in config.recipes] == [
        ("safe", "transformed", ["float16"]),
        ("smallest", "transformed", ["distill", "pack", "int8"]),
    ]
    assert config.gates == EdgeGates(metric="auc", max_loss=0.005, min_slice_examples=100)
    assert (config.gates.max_slice_loss, config.gates.max_size_bytes, config.gates.min_agreement) == (None, None, None)
    assert (config.choose, config.server_needs_edge) == ("smallest", False)
    assert config.representative == Representative(num_examples=500, seed=1)
    assert config.limits == Limits(seconds=900, memory_mb=8192, processes=None)


def test_every_way_to_write_a_recipe_is_read(load: Load):
    prune = {"kind": "prune", "sparsity": 0.5}
    distill = {"kind": "distill", "students": [{"hidden": [8]}, {"hidden": [4], "dropout": 0.0}]}
    written = ["dynamic", "raw", [distill, prune, "int8"], {"name": "watch", "steps": [prune]}, {"steps": "int8"}]
    config = load(recipes=[*written, {"name": "raw-smallest", "steps": "smallest", "inputs": "raw"}])
    assert [(recipe.name, recipe.inputs, [step.kind for step in recipe.steps]) for recipe in config.recipes] == [
        ("dynamic", "transformed", ["dynamic"]),
        ("raw", "raw", []),
        ("distill-prune-int8", "transformed", ["distill", "prune", "int8"]),
        ("watch", "transformed", ["prune"]),
        ("int8", "transformed", ["int8"]),
        ("raw-smallest", "raw", ["distill", "pack", "int8"]),
    ]
    assert config.recipes[2].steps[0].students == ({"hidden": [8]}, {"hidden": [4], "dropout": 0.0})
    assert config.recipes[2].steps[1].sparsity == config.recipes[3].steps[0].sparsity == 0.5


def test_choice_is_a_word_or_weights(load: Load):
    assert (load(choose="fastest").choose, load(choose={"loss": 10}).choose) == ("fastest", ChoiceWeights(loss=10))


UNKNOWN = (
    f"unknown recipe 'tiny'. Presets: safe, balanced, fastest, smallest, raw. Single steps: {STEPS}. Or give a list of steps."
)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("tiny", f": {UNKNOWN}"),
        ({"name": "mine", "steps": "tiny"}, f": {UNKNOWN}"),
        (["tiny", "int8"], f": unknown step 'tiny'. Expected one of: {STEPS}."),
        (["int8", "prune"], ": quantization must come last; found 'prune' after 'int8'."),
        ({"name": "x", "steps": ["int8", "prune"]}, ".steps: quantization must come last; found 'prune' after 'int8'."),
        (
            [{"kind": "prune", "sparsity": 0}],
            ".0.sparsity: must lie between 0 and 1, got 0. 0 prunes nothing, 1 leaves no weight.",
        ),
        (
            {"name": "x", "steps": ["distill", {"kind": "prune", "sparsity": 1}]},
            ".steps.1.sparsity: must lie between 0 and 1, got 1. 0 prunes nothing, 1 leaves no weight.",
        ),
        ([{"kind": "float16", "io": "integer"}], ".0: `io: integer` needs one of int8, int16x8, not float16."),
        (
            {"steps": [{"kind": "int8", "io": "integer"}], "inputs": "raw"},
            ": `inputs: raw` needs `io: float`: the transform before the model computes in float.",
        ),
        ({"steps": "int8", "inputs": "rw"}, ".inputs: input should be 'transformed' or 'raw', found 'rw'."),
        ([{"kind": "prun"}], f".0.kind: unknown kind 'prun'. Expected one of: {STEPS}. Did you mean 'prune'?"),
        ([{"kind": "prune", "sparsiti": 0.5}], ".0.sparsiti: unknown key 'sparsiti'."),
        ({"steps": [{"kind": "prune", "layers": {"nmes": []}}]}, ".steps.0.layers.nmes: unknown key 'nmes'."),
        ({"nme": "x", "steps": ["int8"]}, ".nme: unknown key 'nme'."),
        (
            {"name": "a/b", "steps": ["int8"]},
            ".name: string should match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$', found 'a/b'.",
        ),
        ({"name": "x"}, ": 'x' has no steps: it would be the reference, 'float32', which is always made."),
        (3, ": input should be a valid dictionary or instance of Recipe, found 3."),
    ],
)
def test_mistake_in_a_recipe_is_named_with_its_place(error_of, recipe: Any, message: str):
    assert error_of(recipes=["safe", recipe]) == f"compression.recipes.1{message}"


@pytest.mark.parametrize("recipe", [["int8", "prune"], "tiny", [{"kind": "prune", "sparsity": 0}]])
def test_only_recipe_that_is_mistaken_is_one_mistake(error_of, recipe: Any):
    said = error_of(recipes=[recipe])
    assert said.startswith("compression.recipes.0")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        ([], "tuple should have at least 1 item after validation, not 0, found []."),
        ("smallest", "input should be a valid tuple, found 'smallest'."),
        (["int8", "safe", ["int8"]], "two recipes are named 'int8'. Give one another `name`."),
        (
            [{"name": "float32", "steps": "int8"}],
            "'float32' is the reference, which is always made. Give the recipe another name.",
        ),
    ],
)
def test_recipes_that_do_not_go_together_are_named(error_of, recipes: Any, message: str):
    assert error_of(recipes=recipes) == f"compression.recipes: {message}"


@pytest.mark.parametrize(
    ("students", "message"),
    [
        ([{"hidden": [8]}, {"hiden": [8]}], "students.1: not a `model:` section: hiden: Extra inputs are not permitted."),
        (
            [{"hidden": [8, 0], "l2": -1}],
            "students.0: not a `model:` section: hidden.1: Input should be greater than 0; "
            "l2: Input should be greater than or equal to 0.",
        ),
    ],
)
def test_student_must_be_a_change_of_the_model_section(error_of, students: list, message: str):
    recipes = ["safe", {"name": "watch", "steps": [{"kind": "distill", "students": students}]}]
    assert error_of(recipes=recipes) == f"compression.recipes.1 (watch): {message}"


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"metric": "f1"}, ".metric: unknown metric 'f1'. Expected one of: auc, accuracy, log_loss (label kind binary)."),
        ({}, ".metric: required, but not given."),
        ({"metric": "auc", "max_los": 1}, ".max_los: unknown key 'max_los'. Did you mean 'max_loss'?"),
        ({"metric": "auc", "max_loss": float("nan")}, ".max_loss: input should be a finite number, found nan."),
        ({"metric": "auc", "max_size_bytes": 0}, ".max_size_bytes: input should be greater than or equal to 1, found 0."),
        ({"metric": "auc", "min_agreement": 1.5}, ".min_agreement: input should be less than or equal to 1, found 1.5."),
        (
            {"metric": "auc", "max_slice_loss": 0.1},
            ".max_slice_loss: there are no slices. Name some under evaluation.slices.",
        ),
    ],
)
def test_mistake_in_a_gate_is_named_with_its_place(error_of, gates: dict, message: str):
    assert error_of(gates=gates) == f"compression.gates{message}"


def test_worst_slice_may_be_judged_where_there_are_slices(load: Load):
    sections = {"evaluation": {"slices": [["company"]]}}
    assert load(sections, gates={"metric": "auc", "max_slice_loss": 0.1}).gates.max_slice_loss == 0.1


def test_number_has_no_label_to_agree_on(error_of, load: Load):
    assert error_of(REGRESSION, gates={"metric": "rmse", "min_agreement": 0.9}) == (
        "compression.gates.min_agreement: a number has no class to agree on. Use max_mean_difference."
    )
    assert load(REGRESSION, gates={"metric": "rmse", "max_mean_difference": 2}).gates.max_mean_difference == 2


@pytest.mark.parametrize("recipe", ["raw", {"name": "both", "steps": "int8", "inputs": "raw"}])
def test_raw_inputs_need_vocabularies_without_hashing(error_of, load: Load, recipe: Any):
    hashed = {"features": {"fare": {"kind": "numeric"}, "company": {"kind": "categorical", "num_oov_buckets": 3}}}
    assert error_of(hashed, recipes=["safe", recipe]) == (
        "compression.recipes: feature 'company' has num_oov_buckets: 3, which needs hashing of text, and no device operator "
        "hashes. Set num_oov_buckets: 1, or use no recipe with raw inputs."
    )
    assert load(hashed, recipes=["safe"]).recipes[0].name == "safe"
    assert load(recipes=["safe", recipe]).recipes[1].inputs == "raw"


@pytest.mark.parametrize(
    ("compression", "message"),
    [
        (
            {"representative": {"num_examples": 0}},
            "representative.num_examples: input should be greater than or equal to 1, found 0.",
        ),
        (
            {"representative": {"num_exmples": 9}},
            "representative.num_exmples: unknown key 'num_exmples'. Did you mean 'num_examples'?",
        ),
        ({"limits": {"seconds": 0}}, "limits.seconds: input should be greater than or equal to 1, found 0."),
        ({"raw_features": True}, "raw_features: unknown key 'raw_features'."),
        (
            {"choose": "cheapest"},
            "choose: input should be 'smallest' or 'fastest', found 'cheapest'.\n"
            "compression.choose: input should be a valid dictionary or instance of ChoiceWeights, found 'cheapest'.",
        ),
    ],
)
def test_mistake_elsewhere_is_named_with_its_place(error_of, compression: dict, message: str):
    assert error_of(**compression) == f"compression.{message}"


def test_mistake_in_a_weight_is_named_with_its_place(error_of):
    assert "compression.choose.size: input should be greater than or equal to 0, found -1." in error_of(choose={"size": -1})
    assert "compression.choose.sise: unknown key 'sise'." in error_of(choose={"sise": 1})


def test_quantizer_that_is_not_installed_is_told_before_anything_runs(load: Load, monkeypatch: pytest.MonkeyPatch):
    recipes = [[{"kind": "int8", "quantizer": "litert"}]]
    monkeypatch.setattr(litert, "is_installed", lambda: True)
    assert load(recipes=recipes).recipes[0].name == "int8-litert"
    monkeypatch.setattr(litert, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"recipes\.0 \(int8-litert\): `quantizer: litert` needs the package litert-"):
        load(recipes=recipes)
