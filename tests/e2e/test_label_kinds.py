"""Multiclass and regression from a user's own CSV: odd column names, missing values, an inferred schema."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from pipeline_runs import Finished, edge_inputs, run_here
from sklearn import datasets as sklearn_data

from models.compression.tflite import EdgeModel

pytestmark = pytest.mark.e2e

SMALL_MODEL = {"hidden": [32, 16], "embedding_dim": 4, "numeric_units": 16, "dropout": 0.0}
SMALL_FIT = {"epochs": 40, "batch_size": 16, "learning_rate": 0.01, "early_stopping_patience": 6}


def write_job(folder: Path, header: list[str], rows: list[list], **config) -> Path:
    """Write data.csv and config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    config = {"task": "tabular", "data": {"path": str(folder / "data.csv")}, "model": SMALL_MODEL, "fit": SMALL_FIT} | config
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "config.yaml"


def _row_of_the_eval_split(label: str) -> list:
    """A row whose content hashes to the eval side: its class is never trained on."""
    for tenth in range(1000):
        row = [f"{5 + tenth / 10:.1f}", "3.0", "4.0", "1.3", label]
        digest = hashlib.blake2b("\x1f".join(row).encode(), digest_size=8).digest()
        if int.from_bytes(digest, "little") % 3 == 2:
            return row
    raise AssertionError("no such row")


@pytest.fixture(scope="module")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Scikit-learn's irises, a string label, every tenth petal width missing."""
    folder = tmp_path_factory.mktemp("iris")
    iris = sklearn_data.load_iris()
    rows = [[*values, iris.target_names[label]] for values, label in zip(iris.data, iris.target, strict=True)]
    for row in rows[::10]:
        row[3] = ""
    rows.append(_row_of_the_eval_split("hybrid"))
    config = write_job(
        folder,
        [*iris.feature_names, "species"],
        rows,
        name="iris",
        label={"kind": "multiclass", "column": "species"},
        features={
            "sepal_length": {"kind": "numeric", "column": "sepal length (cm)"},
            "sepal_width": {"kind": "bucketized", "column": "sepal width (cm)", "num_buckets": 4},
            "petal_length": {"kind": "numeric", "column": "petal length (cm)"},
            "petal_width": {"kind": "numeric", "column": "petal width (cm)"},
        },
        gates=[
            {"kind": "bound", "metric": "accuracy", "bound": 0.85},
            {"kind": "blessed", "metric": "log_loss", "max_loss": 0.1},
        ],
        compression={
            "recipes": ["int8", [{"kind": "distill", "epochs": 30}, "pack", "int8"]],
            "gates": {"metric": "accuracy", "max_loss": 0.05, "max_slice_loss": 0.5, "min_slice_examples": 5},
            "representative": {"num_examples": 50},
        },
        evaluation={"slices": [["petal width (cm)"], ["species"]]},
    )
    return run_here(config, folder / "root")


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Scikit-learn's diabetes progression."""
    folder = tmp_path_factory.mktemp("diabetes")
    data = sklearn_data.load_diabetes(scaled=False)
    rows = [[*values, label] for values, label in zip(data.data, data.target, strict=True)]
    config = write_job(
        folder,
        [*data.feature_names, "progression"],
        rows,
        name="diabetes",
        label={"kind": "regression", "column": "progression"},
        features={
            **{name: {"kind": "numeric"} for name in data.feature_names if name not in ("sex", "age")},
            "sex": {"kind": "integer_categorical", "num_values": 3},
            "age": {"kind": "bucketized", "num_buckets": 5},
            "sex_x_age": {"kind": "crossed", "of": ["sex", "age"], "num_buckets": 32},
        },
        gates=[{"kind": "bound", "metric": "rmse", "bound": 72.0}],
        compression={
            "recipes": [
                "int8",
                {"name": "student", "steps": [{"kind": "distill", "match": "features", "epochs": 30}, "pack", "int8"]},
            ],
            "gates": {"metric": "rmse", "max_loss": 5.0},
            "choose": "fastest",
            "representative": {"num_examples": 100},
        },
    )
    return run_here(config, folder / "root")


def examples(finished: Finished, split: str) -> list[bytes]:
    files = (finished.folder("ExampleGen", "examples") / f"Split-{split}").iterdir()
    return list(tf.data.TFRecordDataset([str(f) for f in files], compression_type="GZIP").as_numpy_iterator())


def test_multiclass_run_succeeds(multiclass: Finished) -> None:
    assert multiclass.code == 0, multiclass.output
    assert multiclass.summary["metrics"]["candidate"]["accuracy"] >= 0.85
    assert multiclass.states["SchemaGen"] == "ran"
    assert [v["name"] for v in multiclass.summary["edge"]["variants"]] == ["float32", "int8", "distill-pack-int8"]


def test_class_that_only_the_eval_split_has_counts_as_wrong(multiclass: Finished) -> None:
    labels = [tf.train.Example.FromString(r).features.feature["species"] for r in examples(multiclass, "eval")]
    assert sum(label.bytes_list.value[0] == b"hybrid" for label in labels) == 1
    candidate, float32 = multiclass.summary["metrics"]["candidate"], multiclass.summary["edge"]["reference"]["metrics"]
    assert candidate["accuracy"] <= 1 - 1 / len(labels)
    assert float32 == pytest.approx(candidate, abs=1e-5)


def test_multiclass_server_names_its_classes_and_scores_as_evaluated(multiclass: Finished) -> None:
    server = tf.saved_model.load(str(multiclass.root / multiclass.summary["pushed"]["saved_model"]))
    raw = examples(multiclass, "eval")
    outputs = {k: v.numpy() for k, v in server.signatures["serving_default"](examples=tf.constant(raw)).items()}
    assert outputs["scores"].shape == (len(raw), 3)
    assert sorted(outputs["classes"][0].tolist()) == [b"setosa", b"versicolor", b"virginica"]
    names = np.take_along_axis(outputs["classes"], outputs["scores"].argmax(axis=1)[:, None], axis=1)[:, 0]
    labels = [tf.train.Example.FromString(r).features.feature["species"].bytes_list.value[0] for r in raw]
    accuracy = np.mean(names == np.array(labels, dtype=object))
    assert accuracy == pytest.approx(multiclass.summary["metrics"]["candidate"]["accuracy"], abs=1e-6)


def test_multiclass_edge_package_lists_classes_in_the_order_of_scores(multiclass: Finished) -> None:
    package = multiclass.root / multiclass.summary["pushed"]["edge"]
    metadata = json.loads((package / "metadata.json").read_text())
    server = tf.saved_model.load(str(multiclass.root / multiclass.summary["pushed"]["saved_model"]))
    raw = tf.constant(examples(multiclass, "eval"))
    scores = server.signatures["serving_default"](examples=raw)["scores"].numpy()
    transformed = {name: x.numpy() for name, x in server.signatures["transform_features"](examples=raw).items()}
    edge = EdgeModel((package / "model.tflite").read_bytes()).predict(edge_inputs(package, transformed))
    assert metadata["label"]["classes"] == (package / "labels.txt").read_text().splitlines()
    assert np.mean(edge.argmax(axis=1) == scores.argmax(axis=1)) > 0.95


def test_regression_run_succeeds_and_predicts_the_labels_unit(regression: Finished) -> None:
    assert regression.code == 0, regression.output
    server = tf.saved_model.load(str(regression.root / regression.summary["pushed"]["saved_model"]))
    raw = examples(regression, "eval")
    predictions = server.signatures["serving_default"](examples=tf.constant(raw))["predictions"].numpy()
    labels = [tf.train.Example.FromString(r).features.feature["progression"].float_list.value[0] for r in raw]
    rmse = np.sqrt(np.mean((predictions - np.array(labels)) ** 2))
    assert predictions.shape == (len(raw),)
    assert rmse == pytest.approx(regression.summary["metrics"]["candidate"]["rmse"], rel=1e-4)
    assert rmse < 72.0 < np.std(labels) * 1.05


def test_linear_baseline_of_a_regression_is_worth_beating(regression: Finished) -> None:
    """Labels are around 150 with a deviation of 77: scikit-learn's linear regression has an RMSE of about 55."""
    assert 45 < regression.summary["metrics"]["simple_baseline"]["rmse"] < 65


def test_regression_edge_model_gives_the_same_numbers(regression: Finished) -> None:
    variants = {v["name"]: v for v in regression.summary["edge"]["variants"]}
    candidate = regression.summary["metrics"]["candidate"]["rmse"]
    assert variants["float32"]["metrics"]["rmse"] == pytest.approx(candidate, rel=1e-4)
    assert variants["int8"]["delta"]["rmse"] <= 5.0
    passed = [v for v in variants.values() if v["passed"]]
    assert regression.summary["edge"]["chosen"] == min(passed, key=lambda v: v["latency_us"])["name"]
