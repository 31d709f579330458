"""The main job, from CSV to two pushed models."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pipeline_runs import Finished, run_cli, run_here

from models import metrics
from models.compression.tflite import EdgeModel
from pipeline.ingest.source import resolve_package

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def eval_examples(taxi: Finished) -> list[bytes]:
    """Raw serialized examples of the eval split."""
    files = (taxi.folder("ExampleGen", "examples") / "Split-eval").iterdir()
    return list(tf.data.TFRecordDataset([str(f) for f in files], compression_type="GZIP").as_numpy_iterator())


@pytest.fixture(scope="module")
def server(taxi: Finished):
    """The pushed SavedModel."""
    return tf.saved_model.load(str(taxi.root / taxi.summary["pushed"]["saved_model"]))


@pytest.fixture(scope="module")
def transformed(server, eval_examples: list[bytes]) -> dict[str, np.ndarray]:
    """The eval split as the Trainer saw it, by the pushed model's own signature."""
    outputs = server.signatures["transform_features"](examples=tf.constant(eval_examples))
    return {name: tensor.numpy() for name, tensor in outputs.items()}


@pytest.fixture(scope="module")
def server_scores(server, eval_examples: list[bytes]) -> np.ndarray:
    return server.signatures["serving_default"](examples=tf.constant(eval_examples))["scores"].numpy()


def test_run_succeeds_and_passes_every_gate(taxi: Finished) -> None:
    assert taxi.code == 0, taxi.output
    summary = taxi.summary
    assert summary["status"] == "succeeded"
    assert summary["metrics"]["candidate"]["auc"] >= 0.945
    assert len(summary["gates"]) == 6
    assert all(gate["passed"] and gate["value"] is not None for gate in summary["gates"])
    assert set(taxi.states.values()) == {"ran"}
    assert sum(summary["data"]["examples"].values()) == 15_002
    assert summary["data"]["quarantined"] == 0
    assert summary["data"]["anomalies"] == []


def test_summary_has_the_keys_of_the_contract(taxi: Finished) -> None:
    summary = taxi.summary
    expected = (
        "schema_version run_id pipeline status started seconds startup_seconds peak_rss_mb versions config_digest code_digest "
        "stages data metrics slices gates edge pushed"
    )
    assert sorted(summary) == sorted(expected.split())
    assert summary["schema_version"] == 1
    assert sorted(summary["versions"]) == ["python", "tensorflow", "tfx"]
    assert sorted(summary["stages"][0]) == ["error", "id", "seconds", "state"]
    assert sorted(summary["metrics"]) == ["baseline", "candidate", "simple_baseline"]
    variant_keys = "name techniques size_bytes gzip_bytes metrics delta latency_us sparsity passed error"
    assert set(variant_keys.split()) <= set(summary["edge"]["variants"][0])
    assert (taxi.root / "runs" / "latest").resolve().name == summary["run_id"]


def test_slices_add_up_to_the_eval_split(taxi: Finished) -> None:
    hours = [s for s in taxi.summary["slices"] if s["slice"].startswith("trip_start_hour:")]
    assert len(hours) == 24
    assert sum(s["examples"] for s in hours) == taxi.summary["data"]["examples"]["eval"]


def test_auc_of_a_slice_with_one_class_is_left_out(taxi: Finished) -> None:
    """Nobody tips in cash here, on the record; TFMA would call that an AUC of 0."""
    (cash,) = [s for s in taxi.summary["slices"] if s["slice"] == "payment_type:Cash"]
    assert cash["examples"] > 3000
    assert "auc" not in cash["metrics"]
    assert cash["metrics"]["accuracy"] > 0.99


def test_screen_shows_stages_and_no_library_chatter(taxi: Finished) -> None:
    assert "[ 1/13]" in taxi.output
    assert "pushed saved_model" in taxi.output
    for chatter in ("Warning", "absl", "tensorflow/core", "apache_beam", "Traceback"):
        assert chatter not in taxi.output
    assert "apache_beam" in (taxi.root / "runs" / "latest" / "log.txt").read_text()


def test_pushed_server_model_scores_raw_rows_as_evaluated(taxi, transformed, server_scores) -> None:
    labels = transformed["big_tipper_xf"].reshape(-1)
    np.testing.assert_allclose(server_scores.sum(axis=1), 1.0, atol=1e-5)
    auc = metrics.auc(labels, server_scores[:, 1:])
    assert auc == pytest.approx(taxi.summary["metrics"]["candidate"]["auc"], abs=1e-3)


def test_server_model_needs_no_label_and_survives_missing_values(server) -> None:
    example = tf.train.Example()
    example.features.feature["fare"].float_list.value.append(12.5)
    outputs = server.signatures["serving_default"](examples=tf.constant([example.SerializeToString()]))
    assert outputs["classes"].numpy().tolist() == [[b"0", b"1"]]
    assert np.isfinite(outputs["scores"].numpy()).all()


def test_edge_model_agrees_with_the_server_model(taxi, transformed, server_scores) -> None:
    package = taxi.root / taxi.summary["pushed"]["edge"]
    edge = EdgeModel((package / "model.tflite").read_bytes())
    described = json.loads((package / "metadata.json").read_text())
    inputs = {i["name"]: transformed[i["name"]].astype(i["dtype"]) for i in described["inputs"]}
    edge_scores = edge.predict(inputs)[:, 0]
    difference = np.abs(edge_scores - server_scores[:, 1])
    assert difference.mean() < 0.01
    assert np.mean((edge_scores > 0.5) == (server_scores[:, 1] > 0.5)) > 0.99


def test_edge_variants_are_gated_and_the_smallest_is_chosen(taxi: Finished) -> None:
    edge = taxi.summary["edge"]
    variants = {v["name"]: v for v in edge["variants"]}
    assert list(variants) == ["float32", "float16", "dynamic", "int8"]
    assert all(v["passed"] and v["error"] is None for v in variants.values())
    assert variants["float16"]["size_bytes"] < 0.6 * variants["float32"]["size_bytes"]
    assert variants["int8"]["size_bytes"] < 0.35 * variants["float32"]["size_bytes"]
    assert edge["chosen"] == min(variants, key=lambda name: variants[name]["size_bytes"])
    assert edge["reference"]["name"] == "float32"
    assert edge["reference"]["size_bytes"] <= 250_000


def test_edge_package_is_complete_and_its_checksums_hold(taxi: Finished) -> None:
    package = taxi.root / taxi.summary["pushed"]["edge"]
    sums = dict(line.split("  ")[::-1] for line in (package / "SHA256SUMS").read_text().splitlines())
    found = {str(p.relative_to(package)) for p in package.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert found == set(sums)
    assert {"model.tflite", "metadata.json", "labels.txt", "vocabularies/company.txt"} <= found
    for name, digest in sums.items():
        assert hashlib.sha256((package / name).read_bytes()).hexdigest() == digest
    metadata = json.loads((package / "metadata.json").read_text())
    assert metadata["run_id"] == taxi.summary["run_id"]
    assert metadata["label"]["classes"] == ["0", "1"]
    assert {f["feature"] for f in metadata["features"]} >= {"fare", "company", "hour", "payment_type_x_fare"}


def test_every_row_keeps_its_side_and_its_values(taxi: Finished, eval_examples: list[bytes]) -> None:
    with open(resolve_package("package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv")) as file:
        rows = list(csv.DictReader(file))
    fares = sorted(round(float(row["fare"]), 2) for row in rows)
    seen = []
    for split in ("train", "eval"):
        files = (taxi.folder("ExampleGen", "examples") / f"Split-{split}").iterdir()
        for record in tf.data.TFRecordDataset([str(f) for f in files], compression_type="GZIP").as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            seen.append(round(features["fare"].float_list.value[0], 2))
    assert sorted(seen) == fares


def test_second_run_reuses_what_did_not_change_and_pushes_nothing_new(taxi: Finished, taxi_again: Finished) -> None:
    assert taxi_again.code == 0, taxi_again.output
    reused = {stage for stage, state in taxi_again.states.items() if state == "reused"}
    # Only what looks at the latest blessed model has a new input: now there is one.
    assert set(taxi_again.states) - reused == {"LatestBlessedModel", "Evaluator", "ModelGate", "Pusher", "EdgePusher"}
    assert taxi_again.output.count("reused") >= len(reused)
    assert taxi_again.summary["metrics"]["baseline"] == taxi_again.summary["metrics"]["candidate"]
    assert [p.name for p in (taxi.root / "pushed" / "saved_model").iterdir()] == ["1"]
    assert taxi_again.summary["pushed"] == {"saved_model": "pushed/saved_model/1", "edge": "pushed/edge/1"}


def test_third_run_reuses_everything_that_is_still_there(taxi_again: Finished, repository: Path) -> None:
    # What somebody removed from the push folder is pushed again.
    shutil.rmtree(taxi_again.root / "pushed" / "edge")
    third = run_here(repository / "configs" / "taxi.yaml", taxi_again.root, as_json=True)
    assert third.code == 0, third.output
    assert json.loads(third.output) == third.summary
    assert {stage for stage, state in third.states.items() if state != "reused"} == {"LatestBlessedModel", "EdgePusher"}
    assert (third.root / third.summary["pushed"]["edge"] / "model.tflite").exists()
    assert third.summary["metrics"] == taxi_again.summary["metrics"]


def test_edited_model_retrains_and_nothing_before_it(taxi_again: Finished, repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pipeline", "models", "preprocessing", "configs"):
        shutil.copytree(repository / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "runner_local.py", copy)
    with (copy / "models" / "tabular.py").open("a") as file:
        file.write("\n# One more line.\n")
    done = run_cli(copy, "--config", "configs/taxi.yaml", root=taxi_again.root)
    assert done.code == 0, done.output
    ran = {stage for stage, state in done.states.items() if state == "ran"}
    assert ran == {"LatestBlessedModel", "Trainer", "Compressor", "Evaluator", "ModelGate", "Pusher", "EdgePusher"}
    assert done.summary["pushed"]["saved_model"] == "pushed/saved_model/2"


def test_gate_that_is_not_passed_pushes_nothing_and_says_why(taxi: Finished, repository: Path) -> None:
    done = run_here(repository / "configs" / "taxi.yaml", taxi.root, "gates.0.bound=0.999")
    assert done.code == 3
    assert done.summary["status"] == "not_blessed"
    assert done.summary["pushed"] == {"saved_model": None, "edge": None}
    failed = [gate for gate in done.summary["gates"] if not gate["passed"]]
    assert [(gate["name"], gate["bound"]) for gate in failed] == [("auc", ">= 0.999")]
    assert f"Gate not passed: auc is {failed[0]['value']}, bound >= 0.999." in done.output
    assert "What these gates guard was not pushed." in done.output


def test_median_auc_of_three_seeds_reaches_the_bar(taxi: Finished, repository: Path) -> None:
    aucs = [taxi.summary["metrics"]["candidate"]["auc"]]
    aucs += [_train(taxi, repository, seed)[1] for seed in (2, 3)]
    assert statistics.median(aucs) >= 0.950


def test_training_again_with_the_same_seed_gives_the_same_weights(taxi: Finished, repository: Path) -> None:
    from models.serving import load_keras

    first = min((taxi.root / "artifacts" / "Trainer" / "model").iterdir(), key=lambda p: int(p.name))
    saved = load_keras(str(first / "Format-Keras" / "model.keras"))
    again, _ = _train(taxi, repository, seed=1)
    for expected, actual in zip(saved.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def _train(taxi: Finished, repository: Path, seed: int):
    """Train the configured model on the run's transformed examples; return it and its eval AUC."""
    import tensorflow_transform as tft

    from models import datasets, tabular, training
    from pipeline.config import load_config
    from pipeline.entrypoints.training import TrainSettings, evaluate

    config = load_config(repository / "configs" / "taxi.yaml", [f"fit.seed={seed}"])
    settings = TrainSettings(
        model_module="models.tabular",
        model=config.model.model_dump(mode="json"),
        features=config.features,
        label=config.label,
        fit=config.fit,
        metrics=config.metrics,
        strategy="one_device",
    )
    transform = tft.TFTransformOutput(str(taxi.folder("Transform", "transform_graph")))
    spec, head = settings.example_spec(transform), settings.head(transform)
    examples = taxi.folder("Transform", "transformed_examples")
    train, evaluation = ([str(p) for p in (examples / f"Split-{split}").iterdir()] for split in ("train", "eval"))
    training.make_deterministic(seed)
    model = tabular.build(config.model, spec.features, head)
    batches = datasets.read(evaluation, spec, config.fit.batch_size)
    training.fit(model, head.loss, datasets.read(train, spec, config.fit.batch_size, shuffle_seed=seed), batches, config.fit)
    return model, evaluate(model, batches, settings)["auc"]
