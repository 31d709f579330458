"""A config file: what is accepted, and what is said of every mistake."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import PipelineConfig, load_config
from pipeline.data_config import BigQueryData, CsvData, ParquetData, TFRecordData
from pipeline.errors import ConfigError
from preprocessing.features import raw_columns

MINI: Mapping[str, Any] = {
    "name": "mini",
    "task": "tabular",
    "data": {"path": "data.csv"},
    "label": {"kind": "binary", "column": "tipped"},
    "features": {"fare": {"kind": "numeric"}, "company": {"kind": "categorical"}},
    "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
}

Load = Callable[..., PipelineConfig]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mini.yaml"


@pytest.fixture
def load(path: Path) -> Load:
    """Write a config that differs from MINI in some sections, and load it."""

    def write_and_load(*overrides: str, without: str = "", **sections: Any) -> PipelineConfig:
        values = {name: value for name, value in (copy.deepcopy(dict(MINI)) | sections).items() if name != without}
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_config(path, overrides)

    return write_and_load


def error_of(load: Load, *overrides: str, **sections: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*overrides, **sections)
    return str(caught.value)


def gate(**changes: Any) -> dict[str, Any]:
    return {"gates": [{"kind": "bound", "metric": "auc", "bound": 0.5} | changes]}


def features(**more: Any) -> dict[str, Any]:
    return {"features": dict(MINI["features"]) | more}


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


def data(**values: Any) -> dict[str, Any]:
    return {"data": {"path": "x", **values}}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"path": "x"}, CsvData),
        ({"kind": "csv", "path": "x"}, CsvData),
        ({"kind": "parquet", "path": "x"}, ParquetData),
        ({"kind": "tfrecord", "path": "x"}, TFRecordData),
        ({"kind": "bigquery", "query": "SELECT 1"}, BigQueryData),
    ],
)
def test_data_may_be_of_four_kinds_and_is_csv_if_not_told(load: Load, values: dict, kind: type):
    assert type(load(data=values).data) is kind


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            data(kind="parket"),
            "data.kind: unknown kind 'parket'. Expected one of: csv, parquet, tfrecord, bigquery. Did you mean 'parquet'?",
        ),
        (data(kind="parquet", pth=1), "data.pth: unknown key 'pth'. Did you mean 'path'?"),
        ({"data": {"kind": "tfrecord"}}, "data.path: required, but not given."),
        ({"data": {"kind": "bigquery"}}, "data.query: required, but not given."),
        ({"data": {"kind": "bigquery", "query": "q", "path": "x"}}, "data.path: unknown key 'path'."),
        (
            data(span=3),
            "data: `span` is given, but `path` has no place for it. Put {SPAN}, or {YYYY}, {MM} and {DD}, into the path.",
        ),
        (
            data(split={"by": "colum", "column": "c"}),
            "data.split.by: unknown 'colum'. Expected one of: column, time, or weights.",
        ),
        (data(split={"by": "column", "column": "c", "train": [1]}), "data.split.eval: required, but not given."),
        (
            data(split={"by": "column", "column": "c", "train": [1], "eval": [1]}),
            "data.split: '1' is named for train and for eval. Name each value once.",
        ),
        (
            data(split={"by": "column", "column": "c", "train": ["a", "1"], "eval": [1.0]}),
            "data.split: '1' is named for train and for eval. Name each value once.",
        ),
        (
            data(split={"by": "time", "colum": "c", "column": "c", "eval_from": 1}),
            "data.split.colum: unknown key 'colum'. Did you mean 'column'?",
        ),
        (
            data(split={"by": "time", "column": "c", "eval_from": "soon"}),
            "data.split.eval_from: expected a number or a time such as 2024-01-31T12:00:00Z, found 'soon'.",
        ),
        (
            data(split={"by": "time", "column": "c", "eval_from": True}),
            "data.split.eval_from: expected a number or a time such as 2024-01-31T12:00:00Z, found True.",
        ),
        *(
            (
                data(split={"by": "time", "column": "c", "eval_from": number}),
                f"data.split.eval_from: expected a number or a time such as 2024-01-31T12:00:00Z, found {shown}.",
            )
            for number, shown in (
                (math.nan, "nan"),
                (-math.inf, "-inf"),
                ("nan", "'nan'"),
                ("1e999", "'1e999'"),
                ("1_0", "'1_0'"),
            )
        ),
        (
            {"data": {"kind": "bigquery", "query": "q", "split": {"by": "column", "column": "c", "train": [1], "eval": [2]}}},
            "data.split: BigQuery splits by weights only. Give both sides one, such as {train: 2, eval: 1}; to split by time "
            "or by column export the query to Parquet.",
        ),
    ],
)
def test_a_data_section_that_cannot_be_read_is_explained(load: Load, path: Path, sections: dict, message: str):
    assert error_of(load, **sections) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=timezone.utc)),
        ("2024-01-31T12:00:00Z", datetime(2024, 1, 31, 12, tzinfo=timezone.utc)),
        ("2024-01-31 12:00:00+02:00", datetime(2024, 1, 31, 10, tzinfo=timezone.utc)),
        ("2024-01-31T12:00:00.5+02:00", datetime(2024, 1, 31, 10, 0, 0, 500_000, tzinfo=timezone.utc)),
        ("2024-01-31 12:00", datetime(2024, 1, 31, 12, tzinfo=timezone.utc)),
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=timezone.utc)),
        (" 2024-01-31T12:00:00.123456789-0130", datetime(2024, 1, 31, 13, 30, 0, 123_456, tzinfo=timezone.utc)),
        (1_700_000_000, 1_700_000_000),
        ("1700000000", 1_700_000_000),
        ("9007199254740993", 9007199254740993),
        ("1e9", 1e9),
        (" -.5 ", -0.5),
        (0.5, 0.5),
    ],
)
def test_a_point_in_time_is_a_number_or_utc(load: Load, written: Any, expected: Any):
    split = load(**data(split={"by": "time", "column": "c", "eval_from": written})).data.split
    assert split.eval_from == expected
    assert type(split.eval_from) is type(expected)
    assert type(split).model_validate_json(split.model_dump_json()) == split  # as it goes to the worker


def crossed(*of: str) -> dict[str, Any]:
    return {"kind": "crossed", "of": list(of), "num_buckets": 8}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"pair": crossed("company", "compny")}, "features.pair.of: unknown feature 'compny'. Did you mean 'company'?"),
        ({"pair": crossed("company", "zzz")}, "features.pair.of: unknown feature 'zzz'."),
        (
            {"pair": crossed("company", "fare")},
            "features.pair.of: 'fare' is numeric. Only these can be crossed: bucketized, categorical, integer_categorical.",
        ),
        (
            {"hour": {"kind": "cyclical", "period": "hour"}, "pair": crossed("company", "hour")},
            "features.pair.of: 'hour' is cyclical. Only these can be crossed: bucketized, categorical, integer_categorical.",
        ),
        (
            {"city": {"kind": "categorical"}, "pair": crossed("company", "city"), "more": crossed("company", "pair")},
            "features.more.of: 'pair' is crossed. Only these can be crossed: bucketized, categorical, integer_categorical.",
        ),
        ({"tipped": {"kind": "numeric"}}, "features.tipped: reads the label's column 'tipped'. A label is no feature."),
        (
            {"tip": {"kind": "bucketized", "column": "tipped"}},
            "features.tip: reads the label's column 'tipped'. A label is no feature.",
        ),
    ],
)
def test_a_feature_that_cannot_be_made_is_named(load: Load, path: Path, more: dict, message: str):
    assert error_of(load, **features(**more)) == f"{path}: {message}"


def test_features_that_hold_ids_can_be_crossed(load: Load):
    config = load(
        **features(
            bucket={"kind": "bucketized", "column": "fare"},
            area={"kind": "integer_categorical", "num_values": 4},
            triple=crossed("company", "bucket", "area"),
        )
    )
    assert config.features["triple"].of == ("company", "bucket", "area")


@pytest.mark.parametrize(
    ("sections", "place", "metric"),
    [
        ({"evaluation": {"metrics": ["auc", "auk"]}}, "evaluation.metrics", "auk"),
        (gate(metric="rmse"), "gates.0.metric", "rmse"),
        ({"compression": {"gates": {"metric": "f1"}}}, "compression.gates.metric", "f1"),
    ],
)
def test_an_unknown_metric_is_named_with_the_known_ones(load: Load, path: Path, sections: dict, place: str, metric: str):
    assert error_of(load, **sections) == (
        f"{path}: {place}: unknown metric '{metric}'. Expected one of: auc, accuracy, log_loss (label kind binary)."
    )


def test_a_metric_of_another_label_kind_is_unknown(load: Load, path: Path):
    assert error_of(load, label={"kind": "regression", "column": "tipped"}) == (
        f"{path}: gates.0.metric: unknown metric 'auc'. Expected one of: rmse, mae (label kind regression)."
    )


def test_a_config_without_gates_is_refused(load: Load, path: Path):
    assert error_of(load, gates=[]) == (
        f"{path}: gates: none given. Without a gate no model is ever blessed or refused. Give at least one bound."
    )


def test_a_worst_slice_must_be_among_the_slices(load: Load, path: Path):
    worst = {"gates": [{"kind": "worst_slice", "metric": "auc", "slice": ["company"], "bound": 0.4}]}
    assert error_of(load, **worst, evaluation={"slices": [["fare"]]}) == (
        f"{path}: gates.0.slice: ['company'] is not among evaluation.slices. Add it there."
    )
    assert load(**worst, evaluation={"slices": [["company"]]}).gates[0].slice == ("company",)


def test_a_missing_schema_file_is_named(load: Load, path: Path):
    assert error_of(load, schema_file="none.pbtxt") == (
        f"{path}: schema_file: {path.parent / 'none.pbtxt'} does not exist. Remove the key to have a schema inferred."
    )


def test_a_schema_file_is_found_beside_the_config(load: Load, path: Path):
    (path.parent / "mini.pbtxt").write_text("")
    assert load(schema_file="mini.pbtxt").schema_file == str(path.parent / "mini.pbtxt")
    assert load(schema_file=str(path.parent / "mini.pbtxt")).schema_file == str(path.parent / "mini.pbtxt")


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


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("fit.epochs=3", lambda config: config.fit.epochs == 3),
        ("gates.0.bound=0.9", lambda config: config.gates[0].bound == 0.9),
        ("model.hidden=[8, 4]", lambda config: config.model.hidden == (8, 4)),
        ("evaluation.slices=[[company]]", lambda config: config.evaluation.slices == (("company",),)),
        ("features.city.kind=categorical", lambda config: config.features["city"].kind == "categorical"),
        ("compression.gates.metric=auc", lambda config: config.compression.gates.metric == "auc"),
        ("data.path=a=b.csv", lambda config: config.data.path == "a=b.csv"),
        ("gates.0={kind: blessed, metric: auc}", lambda config: config.gates[0].kind == "blessed"),
    ],
)
def test_set_replaces_one_value(load: Load, override: str, read: Callable[[PipelineConfig], bool]):
    assert not read_safely(read, load())
    assert read(load(override))


def read_safely(read: Callable[[PipelineConfig], bool], config: PipelineConfig) -> bool:
    try:
        return read(config)
    except (KeyError, AttributeError):
        return False


def test_set_reaches_into_a_list_of_the_file(load: Load):
    assert load("model.hidden.1=9", model={"hidden": [16, 8, 4]}).model.hidden == (16, 9, 4)


def test_the_last_set_wins(load: Load):
    assert load("fit.epochs=3", "fit.epochs=5").fit.epochs == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense", "--set nonsense: expected key.path=value, such as fit.epochs=3."),
        ("=3", "--set =3: expected key.path=value, such as fit.epochs=3."),
        ("gates.5.bound=1", "--set gates.5.bound=1: '5' is no position in a list of 1."),
        ("gates.1=3", "--set gates.1=3: '1' is no position in a list of 1."),
        ("gates.x.bound=1", "--set gates.x.bound=1: 'x' is no position in a list of 1."),
        ("gates.-1.bound=1", "--set gates.-1.bound=1: '-1' is no position in a list of 1."),
        ("gates.²=1", "--set gates.²=1: '²' is no position in a list of 1."),
        ("name.x=1", "--set name.x=1: 'name' holds a single value, not keys."),
        ("name.x.y=1", "--set name.x.y=1: there is nothing below 'x'."),
        ("fit.epochs=[", "--set fit.epochs=[: '[' is not YAML: expected the node content, but found '<stream end>'."),
        ("fit.epoch=3", "{path}: fit.epoch: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("fit.epochs=0", "{path}: fit.epochs: input should be greater than or equal to 1, found 0."),
    ],
)
def test_a_wrong_set_is_named(load: Load, path: Path, override: str, message: str):
    assert error_of(load, override) == message.format(path=path)


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "fit.seed=2",
        "fit.learning_rate=0.01",
        "model.dropout=0.2",
        "model.hidden=[8]",
        "data.path=other.csv",
        "data.split={train: 3, eval: 1}",
        "label.positive=2",
        "features.fare.log=true",
        "gates.0.bound=0.6",
        "evaluation.metrics=[auc]",
        "compression.gates.metric=auc",
    ],
)
def test_the_digest_changes_with_any_value(load: Load, override: str):
    assert load(override).digest != load().digest


def test_the_digest_of_equal_configs_is_equal(load: Load):
    assert load().digest == load("fit.epochs=30").digest
    assert load().digest.startswith("sha256:")
    assert len(load().digest) == len("sha256:") + 64


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


def test_key_that_stands_twice_is_an_error(tmp_path: Path):
    file = tmp_path / "twice.yaml"
    file.write_text("name: a\nfit:\n  epochs: 1\n  epochs: 2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value) == f"{file} is not YAML: key 'epochs' stands twice in line 3, column 3."


def test_task_that_is_a_list_is_an_error(repository: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(repository / "configs" / "taxi.yaml", ["task=[tabular]"])
    assert "task: input should be a valid string, found ['tabular']." in str(caught.value)


def test_feature_named_like_the_label_is_an_error(repository: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(repository / "configs" / "taxi.yaml", ["features.big_tipper={kind: numeric, column: fare}"])
    assert str(caught.value).endswith("features.big_tipper: has the name of the label's column. Give it another name.")
