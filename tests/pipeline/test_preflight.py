"""What is said of the data before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import PipelineConfig, load_config
from pipeline.errors import ConfigError
from pipeline.local.preflight import check_data

GOOD = "fare,company,tipped\n1,a,0\n2,b,1\n"


def config(
    path: Path | str, label: str = "tipped", features: Mapping[str, Any] = {}, slices: Sequence[Sequence[str]] = ()
) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "mini",
            "task": "tabular",
            "data": {"path": str(path)},
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
