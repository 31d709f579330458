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
import tensorflow_transform as tft
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from pipeline_runs import Finished, edge_inputs, run_cli, run_here

from models import metrics
from models.compression.raw_features import raw_columns
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
    assert [gate["name"] for gate in summary["gates"][5:]] == [
        "edge auc loss",
        "edge auc loss (raw inputs)",
        "edge raw-feature parity, mean score difference (raw inputs)",
    ]
    assert all(gate["passed"] and gate["value"] is not None for gate in summary["gates"])
    assert set(taxi.states.values()) == {"ran"}
    assert sum(summary["data"]["examples"].values()) == 15_002
    assert summary["data"]["quarantined"] == 0
    assert summary["data"]["anomalies"] == []


def test_summary_has_the_keys_of_the_contract(taxi: Finished) -> None:
    summary = taxi.summary
    expected = (
        "schema_version run_id pipeline status started seconds startup_seconds peak_rss_mb versions config_digest code_digest "
        "stages data metrics slices gates edge tuning pushed"
    )
    assert sorted(summary) == sorted(expected.split())
    assert summary["schema_version"] == 1
    assert sorted(summary["versions"]) == ["python", "tensorflow", "tfx"]
    assert sorted(summary["stages"][0]) == ["error", "id", "seconds", "state"]
    assert sorted(summary["metrics"]) == ["baseline", "candidate", "simple_baseline"]
    assert summary["tuning"] is None
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
    assert "absl: MetadataStore" in (taxi.root / "runs" / "latest" / "log.txt").read_text()


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
    edge_scores = edge.predict(edge_inputs(package, transformed))[:, 0]
    difference = np.abs(edge_scores - server_scores[:, 1])
    # A student of 8 hidden units: it scores as well, not the same.
    assert difference.mean() < 0.025
    assert np.mean((edge_scores > 0.5) == (server_scores[:, 1] > 0.5)) > 0.97
    labels = transformed["big_tipper_xf"].reshape(-1)
    assert metrics.auc(labels, edge_scores[:, None]) >= metrics.auc(labels, server_scores[:, 1:]) - 0.005


def test_edge_variants_are_gated_and_the_smallest_is_chosen(taxi: Finished) -> None:
    edge = taxi.summary["edge"]
    variants = {v["name"]: v for v in edge["variants"]}
    assert list(variants) == ["float32", "dynamic", "int8", "smallest", "raw", "raw-smallest"]
    assert all(v["passed"] and v["error"] is None for v in variants.values())
    assert edge["reference"]["name"] == "float32"
    assert edge["reference"]["size_bytes"] <= 250_000
    assert variants["int8"]["size_bytes"] < 0.35 * variants["float32"]["size_bytes"]
    assert (edge["chosen"], edge["chosen_raw"]) == ("smallest", "raw-smallest")


def test_smallest_recipe_holds_its_bars_on_taxi(taxi: Finished) -> None:
    variants = {v["name"]: v for v in taxi.summary["edge"]["variants"]}
    smallest, reference = variants["smallest"], variants["float32"]
    assert smallest["techniques"] == ["distillation", "packing", "int8"]
    assert smallest["size_bytes"] <= min(6_500, reference["size_bytes"] / 40)
    assert smallest["gzip_bytes"] <= reference["gzip_bytes"] / 60
    assert smallest["delta"]["auc"] >= -0.005


def test_raw_model_takes_raw_columns_and_agrees_with_the_server_on_every_row(taxi, server_scores, eval_examples) -> None:
    compressor = taxi.folder("Compressor", "edge_model")
    transform = tft.TFTransformOutput(str(taxi.folder("Transform", "transform_graph")))
    edge = EdgeModel((compressor / "variants" / "raw.tflite").read_bytes())
    assert {"fare", "trip_miles", "company"} <= set(edge.input_names)
    columns = raw_columns(eval_examples, transform, edge.input_names)
    assert np.abs(edge.predict(columns)[:, 0] - server_scores[:, 1]).max() < 1e-5


def test_pushed_raw_model_scores_as_the_pushed_model_does(taxi, transformed, eval_examples) -> None:
    package = taxi.root / taxi.summary["pushed"]["edge"]
    transform = tft.TFTransformOutput(str(taxi.folder("Transform", "transform_graph")))
    raw = EdgeModel((package / "raw_model.tflite").read_bytes())
    scores = EdgeModel((package / "model.tflite").read_bytes()).predict(edge_inputs(package, transformed))
    difference = np.abs(raw.predict(raw_columns(eval_examples, transform, raw.input_names)) - scores)
    # A last digit of a z-score may flip the last step of an int8.
    assert difference.mean() < 1e-4


def test_lineage_finds_the_edge_model_by_what_it_is(taxi: Finished) -> None:
    store = metadata_store.MetadataStore(
        metadata_store_pb2.ConnectionConfig(
            sqlite=metadata_store_pb2.SqliteMetadataSourceConfig(filename_uri=str(taxi.root / "metadata.db"))
        )
    )
    properties = store.get_artifacts_by_type("pipeline.EdgeModel")[0].custom_properties
    chosen = next(v for v in taxi.summary["edge"]["variants"] if v["name"] == "smallest")
    assert properties["chosen"].string_value == "smallest"
    assert properties["recipe"].string_value == "distillation,packing,int8"
    assert properties["size_bytes"].int_value == chosen["size_bytes"]
    assert properties["metric_auc"].double_value == pytest.approx(chosen["metrics"]["auc"])


def test_retraining_leaves_logs_and_tensorboard_summaries(taxi: Finished) -> None:
    folder = taxi.folder("Compressor", "edge_model")
    logs = {path.stem: path.read_text() for path in (folder / "logs").iterdir()}
    assert {"trained", "variant-smallest", "1-distill"} <= set(logs)
    assert "Epoch 25/" in logs["1-distill"]
    assert list((folder / "1-distill" / "tensorboard").rglob("events.out.tfevents.*"))


def test_edge_package_is_complete_and_its_checksums_hold(taxi: Finished) -> None:
    package = taxi.root / taxi.summary["pushed"]["edge"]
    sums = dict(line.split("  ")[::-1] for line in (package / "SHA256SUMS").read_text().splitlines())
    found = {str(p.relative_to(package)) for p in package.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert found == set(sums)
    expected = {"model.tflite", "raw_model.tflite", "predict.py", "metadata.json", "labels.txt", "vocabularies/company.txt"}
    assert expected <= found
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
    # A new version, unless the same model came out, bit for bit.
    pushed, trained = done.root / done.summary["pushed"]["saved_model"], done.folder("Trainer", "model") / "Format-Serving"
    for file in ("saved_model.pb", "variables/variables.data-00000-of-00001"):
        assert (pushed / file).read_bytes() == (trained / file).read_bytes()


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
    return model, evaluate(model.predict_on_batch, batches, settings)["auc"]
