"""A config file as a whole: how it is read, what fills in what it does not give, where its schema lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from mini_config import Load, error_of, gate

from pipeline.config import load_config
from pipeline.errors import ConfigError
from preprocessing.features import raw_columns


def test_defaults_fill_what_is_not_given(load: Load):
    config = load()
    assert config.data.split == {"train": 2, "eval": 1}
    assert config.data.max_bad_rows == 0.001
    assert config.fit.epochs == 30
    assert config.model.hidden == (256, 128, 64)
    assert config.compression is None
    assert config.metrics == ("auc", "accuracy", "log_loss")
    assert config.columns == ["company", "fare", "tipped"]
    assert config.number_columns == {"fare": "numeric"}


def test_metrics_that_only_gates_name_are_computed_too(load: Load):
    config = load(evaluation={"metrics": ["accuracy"]}, compression={"gates": {"metric": "log_loss"}}, **gate(metric="auc"))
    assert config.metrics == ("accuracy", "auc", "log_loss")


def test_columns_of_slices_and_of_renamed_features_must_be_in_the_data(load: Load):
    config = load(
        evaluation={"slices": [["city"], ["company", "hour"]]}, features={"price": {"kind": "numeric", "column": "usd"}}
    )
    assert config.columns == ["city", "company", "hour", "tipped", "usd"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1\nb: 2\n", "{path} is not YAML: expected ',' or ']', but got ':' in line 2, column 2."),
        (b"a:\n\t- b\n", "{path} is not YAML: found character '\\t' that cannot start any token in line 2, column 1."),
        (b"- 1\n", "{path}: expected keys and values, found list. See configs/taxi.yaml for an example."),
        (b"", "{path}: expected keys and values, found NoneType. See configs/taxi.yaml for an example."),
        (
            b"\xff\xfe: 1\n",
            "{path} cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte.",
        ),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(path: Path, content: bytes, message: str):
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == message.format(path=path)


def test_a_missing_file_is_named(path: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path} does not exist."


def test_key_that_stands_twice_is_an_error(tmp_path: Path):
    file = tmp_path / "twice.yaml"
    file.write_text("name: a\nfit:\n  epochs: 1\n  epochs: 2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value) == f"{file} is not YAML: key 'epochs' stands twice in line 3, column 3."


def test_a_missing_schema_file_is_named(load: Load, path: Path):
    assert error_of(load, schema_file="none.pbtxt") == (
        f"{path}: schema_file: {path.parent / 'none.pbtxt'} does not exist. Remove the key to have a schema inferred."
    )


def test_a_schema_file_is_found_beside_the_config(load: Load, path: Path):
    (path.parent / "mini.pbtxt").write_text("")
    assert load(schema_file="mini.pbtxt").schema_file == str(path.parent / "mini.pbtxt")
    assert load(schema_file=str(path.parent / "mini.pbtxt")).schema_file == str(path.parent / "mini.pbtxt")


def test_the_taxi_config_loads(repository: Path):
    config = load_config(repository / "configs" / "taxi.yaml")
    assert config.name == "taxi"
    assert config.label.column == "big_tipper"
    assert config.schema_file == str(repository / "configs" / "taxi_schema.pbtxt")
    assert len(config.features) == 17
    assert [g.kind for g in config.gates] == ["bound", "bound", "blessed", "simple_baseline", "worst_slice"]
    assert [recipe.name for recipe in config.compression.recipes] == ["dynamic", "int8", "smallest", "raw", "raw-smallest"]


def test_no_taxi_feature_reads_the_tips(repository: Path):
    config = load_config(repository / "configs" / "taxi.yaml")
    assert "fare" in raw_columns(config.features)
    assert "tips" not in raw_columns(config.features)
    assert "tips" not in config.columns
