"""What is said of the data before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pyarrow import csv, parquet

from pipeline.config import PipelineConfig, load_config
from pipeline.errors import ConfigError
from pipeline.local.preflight import check_data

GOOD = "fare,company,tipped\n1,a,0\n2,b,1\n"


def config(
    path: Path | str,
    label: str = "tipped",
    features: Mapping[str, Any] = {},
    slices: Sequence[Sequence[str]] = (),
    **data: Any,
) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "mini",
            "task": "tabular",
            "data": {"path": str(path), **data},
            "label": {"kind": "binary", "column": label},
            "features": features or {"fare": {"kind": "numeric"}},
            "evaluation": {"slices": slices},
            "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
        }
    )


def error_of(checked: PipelineConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        check_data(checked)
    return str(caught.value)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.csv"
    path.write_text(GOOD)
    return path


def test_a_file_a_folder_and_a_glob_with_the_columns_pass(good: Path):
    for path in (good, good.parent, good.parent / "g*.csv"):
        assert check_data(config(path, slices=[["company"]])) is None


def test_the_taxi_data_fit_their_config(repository: Path):
    assert check_data(load_config(repository / "configs" / "taxi.yaml")) is None


def test_a_missing_file_is_named(tmp_path: Path):
    path = tmp_path / "none.csv"
    assert error_of(config(path)) == f"data.path: {path} does not exist."


def test_an_empty_folder_is_named(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("x")
    assert error_of(config(tmp_path)) == f"data.path: {tmp_path} holds no .csv file."


def test_a_glob_without_a_match_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "*.csv", "*.csv", tmp_path / "part-?.csv"):
        assert error_of(config(path)) == f"data.path: {path} matches no file."


def test_a_package_that_is_not_installed_is_named():
    assert error_of(config("package://no_such_package/data.csv")) == (
        "`data.path` names the package 'no_such_package' (package://no_such_package/data.csv), which is not installed."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "data.path: {path} is empty. Expected a header line and rows."),
        ("fare,tipped\n", "data.path: {path} has a header line but no rows."),
        ('"fare\n",tipped\n', "data.path: {path} has a header line but no rows."),
        ("fare,fare\n1,2\n", "data.path: {path} has 2 columns named 'fare'. Rename or remove all but one."),
    ],
)
def test_a_file_without_header_or_rows_is_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "data.csv"
    path.write_text(content)
    assert error_of(config(path)) == message.format(path=path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "tiped"}, "label.column: column 'tiped' is not in {path}. Did you mean 'tipped'?"),
        (
            {"features": {"fares": {"kind": "numeric"}}},
            "features.fares: column 'fares' is not in {path}. Did you mean 'fare'?",
        ),
        (
            {"features": {"firm": {"kind": "categorical", "column": "compani"}}},
            "features.firm: column 'compani' is not in {path}. Did you mean 'company'?",
        ),
        ({"slices": [["fare"], ["compny"]]}, "evaluation.slices: column 'compny' is not in {path}. Did you mean 'company'?"),
        ({"features": {"zzz": {"kind": "numeric"}}}, "features.zzz: column 'zzz' is not in {path}."),
        (
            {
                "features": {
                    "company": {"kind": "categorical"},
                    "fare": {"kind": "bucketized"},
                    "pair": {"kind": "crossed", "of": ["company", "fare"], "num_buckets": 8},
                },
                "slices": [["pair"]],
            },
            "evaluation.slices: column 'pair' is not in {path}.",
        ),
    ],
)
def test_a_missing_column_is_named_with_its_place_and_the_nearest_one(good: Path, changes: Mapping[str, Any], message: str):
    assert error_of(config(good, **changes)) == f"{message.format(path=good)}\nIts columns: fare, company, tipped."


def test_all_missing_columns_are_named_at_once(good: Path):
    found = error_of(config(good, label="tiped", features={"zzz": {"kind": "numeric"}}))
    assert found == (
        f"label.column: column 'tiped' is not in {good}. Did you mean 'tipped'?\n"
        f"features.zzz: column 'zzz' is not in {good}.\n"
        "Its columns: fare, company, tipped."
    )


def test_parquet_and_tfrecords_are_looked_at_too(good: Path):
    table = csv.read_csv(good)
    parquet.write_table(table, good.parent / "good.parquet")
    assert check_data(config(good.parent, kind="parquet")) is None
    assert error_of(config(good.parent, kind="parquet", label="tiped")) == (
        f"label.column: column 'tiped' is not in {good.parent}. Did you mean 'tipped'?\nIts columns: fare, company, tipped."
    )
    example = tf.train.Example()
    example.features.feature["fare"].float_list.value.append(1.5)
    example.features.feature["tipped"].int64_list.value.append(1)
    with tf.io.TFRecordWriter(str(good.parent / "good.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    assert check_data(config(good.parent, kind="tfrecord")) is None
    assert error_of(config(good.parent, kind="tfrecord", slices=[["city"]])).startswith(
        "evaluation.slices: column 'city' is not in "
    )


def test_a_file_without_rows_is_fine_if_another_has_some(good: Path):
    (good.parent / "a.csv").write_text("fare,company,tipped\n")
    assert check_data(config(good.parent)) is None
    good.write_text("fare,company,tipped\n")
    assert error_of(config(good.parent)) == f"data.path: {good.parent / 'a.csv'} has a header line but no rows."


def test_a_feature_that_few_records_have_is_found(tmp_path: Path):
    """It may come first in any record of any file."""
    for name, features in (("1.tfrecord", ["fare"] * 1500), ("2.tfrecord", ["fare", "tipped"])):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for feature in features:
                example = tf.train.Example()
                example.features.feature[feature].int64_list.value.append(1)
                writer.write(example.SerializeToString())
    assert check_data(config(tmp_path, kind="tfrecord")) is None
    assert error_of(config(tmp_path, kind="tfrecord", label="tiped")) == (
        f"label.column: column 'tiped' is not in {tmp_path}. Did you mean 'tipped'?\nIts columns: fare, tipped."
    )


@pytest.mark.parametrize(("kind", "suffix"), [("csv", ".csv"), ("parquet", ".parquet"), ("tfrecord", ".tfrecord")])
def test_a_folder_without_files_of_the_kind_is_named(tmp_path: Path, kind: str, suffix: str):
    assert error_of(config(tmp_path, kind=kind)) == f"data.path: {tmp_path} holds no {suffix} file."


def test_a_file_of_another_kind_is_named(good: Path):
    assert error_of(config(good, kind="parquet")).startswith(f"data.path: {good} cannot be read as Parquet: ")


def test_the_span_that_will_be_read_is_looked_at(tmp_path: Path):
    for span, header in ((1, "fare,tipped"), (2, "fares,tipped")):
        (tmp_path / f"{span}.csv").write_text(f"{header}\n1,0\n2,1\n")
    path = tmp_path / "{SPAN}.csv"
    assert check_data(config(path, span=1)) is None
    assert "features.fare: column 'fare' is not in" in error_of(config(path))
    assert error_of(config(path, span=7)) == (
        f"data.path: No file of span 7 matches {tmp_path}/{{SPAN}}.csv. The spans there are: 1, 2."
    )


def test_a_column_that_splits_must_be_there(good: Path):
    split = {"by": "time", "column": "days", "eval_from": 3}
    assert error_of(config(good, split=split)) == (
        f"data.split.column: column 'days' is not in {good}.\nIts columns: fare, company, tipped."
    )


def test_a_query_is_not_run(good: Path):
    values = config(good).model_dump() | {"data": {"kind": "bigquery", "query": "SELECT 1"}}
    assert check_data(PipelineConfig.model_validate(values)) is None


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_file_with_other_separators_is_seen_as_such(tmp_path: Path, mark: str, name: str):
    file = tmp_path / "rows.csv"
    file.write_text("fare,company,tipped\n1,a,1\n2,b,0\n".replace(",", mark))
    assert error_of(config(file)).endswith(f"\nAre they separated by {name}? Save the file with commas.")
