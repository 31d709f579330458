"""Keys, values and kinds that a config file cannot have: each is named with its place and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from mini_config import Load, error_of, features, gate

from pipeline.config import load_config
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"gate": []}, "gate: unknown key 'gate'. Did you mean 'gates'?"),
        ({"fit": {"epoch": 3}}, "fit.epoch: unknown key 'epoch'. Did you mean 'epochs'?"),
        ({"model": {"hiden": [3]}}, "model.hiden: unknown key 'hiden'. Did you mean 'hidden'?"),
        ({"data": {"path": "x", "pth": 1}}, "data.pth: unknown key 'pth'. Did you mean 'path'?"),
        (
            {"compression": {"gates": {"metric": "auc"}, "recipe": ["int8"]}},
            "compression.recipe: unknown key 'recipe'. Did you mean 'recipes'?",
        ),
        (
            {"compression": {"gates": {"metric": "auc", "max_los": 0.1}}},
            "compression.gates.max_los: unknown key 'max_los'. Did you mean 'max_loss'?",
        ),
        (features(fare={"kind": "numeric", "lag": True}), "features.fare.lag: unknown key 'lag'."),
        (gate(slices=["company"]), "gates.0.slices: unknown key 'slices'."),
        ({"zzz": 1}, "zzz: unknown key 'zzz'."),
    ],
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_one(load: Load, path: Path, sections: dict, message: str):
    assert error_of(load, **sections) == f"{path}: {message}"


@pytest.mark.parametrize("key", ["name", "task", "data", "label", "features", "gates"])
def test_a_required_section_must_be_given(load: Load, path: Path, key: str):
    assert error_of(load, without=key) == f"{path}: {key}: required, but not given."


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"fit": {"epochs": "many"}},
            "fit.epochs: input should be a valid integer, unable to parse string as an integer, found 'many'.",
        ),
        ({"fit": {"epochs": 0}}, "fit.epochs: input should be greater than or equal to 1, found 0."),
        ({"fit": 3}, "fit: input should be a valid dictionary or instance of FitConfig, found 3."),
        ({"model": {"hidden": [3, -1]}}, "model.hidden.1: input should be greater than 0, found -1."),
        (
            {"features": {"fare": "numeric"}},
            "features.fare: input should be a valid dictionary or object to extract fields from, found 'numeric'.",
        ),
        ({"features": {}}, "features: dictionary should have at least 1 item after validation, not 0, found {}."),
        (
            {"features": {"1st": {"kind": "numeric"}}},
            "features.1st: string should match pattern '^[A-Za-z][A-Za-z0-9_]*$', found '1st'.",
        ),
        ({"data": {"path": ""}}, "data.path: string should have at least 1 character, found ''."),
        ({"data": 3}, "data: input should be a valid dictionary or instance of CsvData, found 3."),
        (
            {"data": {"path": "x", "rows_per_shard": 0}},
            "data.rows_per_shard: input should be greater than or equal to 1, found 0.",
        ),
        ({"data": {"path": "x", "max_bad_rows": 1}}, "data.max_bad_rows: input should be less than 1, found 1."),
        (
            {"data": {"path": "x", "split": {"train": 1, "eval": 0}}},
            "data.split.eval: input should be greater than 0, found 0.",
        ),
        (
            {"data": {"path": "x", "split": {"train": 1, "test": 1}}},
            "data.split.test: input should be 'train' or 'eval', found 'test'.",
        ),
        (
            {"data": {"path": "x", "split": {"train": 1}}},
            "data.split: dictionary should have at least 2 items after validation, not 1, found {'train': 1}.",
        ),
        ({"evaluation": {"slices": ["company"]}}, "evaluation.slices.0: input should be a valid tuple, found 'company'."),
        (
            gate(bound="high"),
            "gates.0.bound: input should be a valid number, unable to parse string as a number, found 'high'.",
        ),
        ({"gates": [{"kind": "bound", "metric": "auc"}]}, "gates.0.bound: required, but not given."),
        ({"gates": [{"kind": "bound", "bound": 0.5}]}, "gates.0.metric: required, but not given."),
        (
            {"gates": [{"kind": "blessed", "metric": "auc", "max_loss": -1}]},
            "gates.0.max_loss: input should be greater than or equal to 0, found -1.",
        ),
        (
            {"compression": {"recipes": ["int8", "int8"], "gates": {"metric": "auc"}}},
            "compression.recipes: two recipes are named 'int8'. Give one another `name`.",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_was_expected(load: Load, path: Path, sections: dict, message: str):
    assert error_of(load, **sections) == f"{path}: {message}"


def test_a_model_section_that_is_no_mapping_is_named(load: Load, path: Path):
    assert error_of(load, model=[1]) == (
        f"{path}: model: expected keys and values, found list. See configs/taxi.yaml for an example."
    )


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            features(fare={"kind": "numerik"}),
            "features.fare.kind: unknown kind 'numerik'. Expected one of: numeric, bucketized, categorical, "
            "integer_categorical, cyclical, crossed. Did you mean 'numeric'?",
        ),
        (features(fare={"log": True}), "features.fare.kind: required, but not given."),
        (
            {"label": {"kind": "bin", "column": "tipped"}},
            "label.kind: unknown kind 'bin'. Expected one of: binary, multiclass, regression. Did you mean 'binary'?",
        ),
        (
            gate(kind="bond"),
            "gates.0.kind: unknown kind 'bond'. Expected one of: bound, blessed, simple_baseline, worst_slice. "
            "Did you mean 'bound'?",
        ),
        ({"task": "tabullar"}, "task: unknown task 'tabullar'. Expected one of: tabular."),
        ({"task": "tabullar", "model": {"x": 1}}, "task: unknown task 'tabullar'. Expected one of: tabular."),
    ],
)
def test_an_unknown_kind_or_task_is_named_with_the_known_ones(load: Load, path: Path, sections: dict, message: str):
    assert error_of(load, **sections) == f"{path}: {message}"


def test_task_that_is_a_list_is_an_error(repository: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(repository / "configs" / "taxi.yaml", ["task=[tabular]"])
    assert "task: input should be a valid string, found ['tabular']." in str(caught.value)


def test_a_config_without_gates_is_refused(load: Load, path: Path):
    assert error_of(load, gates=[]) == (
        f"{path}: gates: none given. Without a gate no model is ever blessed or refused. Give at least one bound."
    )


@pytest.mark.parametrize("name", ["My Pipe", "1st", "a_b", "-a", "a" * 64, ""])
def test_a_bad_pipeline_name_is_refused(load: Load, path: Path, name: str):
    assert error_of(load, name=name) == f"{path}: name: string should match pattern '^[a-z][a-z0-9-]{{0,62}}$', found '{name}'."


def test_all_mistakes_are_named_at_once(load: Load, path: Path):
    assert error_of(load, name="X", task="t", fit={"epochs": 0, "epoch": 1}) == (
        f"{path}: name: string should match pattern '^[a-z][a-z0-9-]{{0,62}}$', found 'X'.\n"
        "task: unknown task 't'. Expected one of: tabular.\n"
        "fit.epochs: input should be greater than or equal to 1, found 0.\n"
        "fit.epoch: unknown key 'epoch'. Did you mean 'epochs'?"
    )
