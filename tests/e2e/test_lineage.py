"""Where the models of real runs came from."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import Finished, run_here
from small_pipeline import write_small_taxi_config
from typer.testing import CliRunner, Result

import runner_local
from pipeline.config import PipelineConfig, load_config
from pipeline.ingest.source import resolve_package
from pipeline.lineage.writing import write_lineage
from pipeline.local.lock import root_lock

pytestmark = pytest.mark.e2e

TAXI = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"


def ask(root: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(runner_local.app, ["lineage", "--root", str(root), *arguments])
    assert result.exit_code == 0, result.output
    return result


def lineage(root: Path, model: str) -> dict[str, Any]:
    return json.loads(ask(root, "--json", "--model", model).stdout)


def sha256sum_of_all(folder: Path) -> str:
    """What anybody can compute with the tools of a shell."""
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout.split()[0]


@pytest.fixture(scope="module")
def server(taxi: Finished) -> dict[str, Any]:
    """Of the SavedModel that the main job pushed."""
    return lineage(taxi.root, taxi.summary["pushed"]["saved_model"])


@pytest.fixture(scope="module")
def edge(taxi: Finished) -> dict[str, Any]:
    """Of its edge model."""
    return lineage(taxi.root, taxi.summary["pushed"]["edge"])


@pytest.fixture(scope="module")
def taxi_config(repository: Path) -> PipelineConfig:
    return load_config(repository / "configs" / "taxi.yaml")


def test_data_is_told_to_the_byte_and_the_row(server: dict[str, Any], taxi: Finished) -> None:
    path = Path(resolve_package(TAXI))
    (file,) = server["data"]["files"]
    assert (file["path"], file["rows"], file["size_bytes"]) == (str(path), 15_002, path.stat().st_size)
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert server["data"]["sha256"] == sha256sum_of_all(path.parent)
    assert server["data"]["examples"] == taxi.summary["data"]["examples"]
    assert server["data"]["quarantined"] == 0
    assert (server["data"]["kind"], server["data"]["pattern"]) == ("csv", "data.csv")


def test_schema_and_transform_are_told_with_digests_and_kinds(
    server: dict[str, Any], taxi: Finished, taxi_config: PipelineConfig
) -> None:
    schema_file = Path(str(taxi_config.schema_file))
    assert server["schema"]["source"] == "taxi_schema.pbtxt"
    assert server["schema"]["sha256"] == hashlib.sha256(schema_file.read_bytes()).hexdigest()
    assert server["schema"]["columns"]["big_tipper"] == "INT"
    assert len(server["schema"]["columns"]) == schema_file.read_text().count("feature {")
    assert server["transform"]["features"] == {name: feature.kind for name, feature in taxi_config.features.items()}
    graph = min((taxi.root / "artifacts" / "Transform" / "transform_graph").iterdir(), key=lambda path: int(path.name))
    assert server["transform"]["sha256"] == sha256sum_of_all(graph)


def test_hyperparameters_are_the_configs(server: dict[str, Any], taxi: Finished, taxi_config: PipelineConfig) -> None:
    training = server["training"]
    assert training["model"] == taxi_config.model.model_dump(mode="json")
    assert training["fit"] == taxi_config.fit.model_dump(mode="json")
    assert training["label"] == taxi_config.label.model_dump(mode="json")
    assert training["examples"] == taxi.summary["data"]["examples"]["train"]
    assert 1 < training["epochs"] <= taxi_config.fit.epochs
    assert training["parameters"] == taxi.summary["edge"]["variants"][0]["parameters"]


def test_metrics_gates_and_versions_are_the_summarys(server: dict[str, Any], edge: dict[str, Any], taxi: Finished) -> None:
    summary = taxi.summary
    assert server["evaluation"]["metrics"] == summary["metrics"]
    assert server["evaluation"]["num_slices"] == len(summary["slices"])
    assert server["evaluation"]["gates"] == [gate for gate in summary["gates"] if not gate["name"].startswith("edge")]
    chosen = [*edge["edge"]["chosen"]["gates"], *edge["edge"]["chosen_raw"]["gates"]]
    assert edge["evaluation"]["gates"] + chosen == summary["gates"]
    assert server["run"] == {key: summary[key] for key in ("started", "config_digest", "code_digest", "versions")}


def test_version_is_told_with_the_run_and_the_bytes(server: dict[str, Any], taxi: Finished) -> None:
    pushed, folder = server["pushed"], taxi.root / taxi.summary["pushed"]["saved_model"]
    assert (pushed["path"], pushed["run_id"]) == (taxi.summary["pushed"]["saved_model"], taxi.summary["run_id"])
    assert taxi.summary["started"] < pushed["time"]
    assert pushed["sha256"] == sha256sum_of_all(folder)
    assert pushed["num_files"] == sum(path.is_file() for path in folder.rglob("*"))
    assert server["missing"] == []


def test_every_stage_that_the_model_needed_is_there_with_its_code(server: dict[str, Any], edge: dict[str, Any]) -> None:
    stages = {stage["id"]: stage for stage in server["stages"]}
    before = "CuratedSchema ExampleGen StatisticsGen ExampleValidator DataGate Transform Trainer Evaluator ModelGate"
    assert set(stages) == {*before.split(), "Pusher"}
    assert {stage["id"] for stage in edge["stages"]} == {*before.split(), "Compressor", "EdgePusher"}
    assert all(len(stage["code_digest"]) == 32 for stage in [*server["stages"], *edge["stages"]])
    assert len({stage["code_digest"] for stage in server["stages"]}) == len(server["stages"])
    uris = {artifact["id"]: artifact["uri"] for artifact in server["artifacts"]}
    (model,) = stages["Trainer"]["outputs"]["model"]
    assert stages["Pusher"]["inputs"]["model"] == [model]
    assert uris[model].startswith("artifacts/Trainer/model/")


def test_edge_model_has_its_recipe_and_its_float_model(
    edge: dict[str, Any], server: dict[str, Any], taxi: Finished, taxi_config: PipelineConfig
) -> None:
    assert taxi_config.compression
    recipes = {recipe.name: recipe.model_dump(mode="json") for recipe in taxi_config.compression.recipes}
    variants = {variant["name"]: variant for variant in taxi.summary["edge"]["variants"]}
    for key in ("chosen", "chosen_raw"):
        told = edge["edge"][key]
        assert told["name"] == taxi.summary["edge"][key]
        assert told["recipe"] == recipes[told["name"]]
        for what in ("techniques", "size_bytes", "metrics", "delta", "sparsity"):
            assert told[what] == variants[told["name"]][what]
    assert edge["edge"]["chosen"]["techniques"] == ["distillation", "packing", "int8"]
    assert edge["edge"]["float_model"]["model"] == server["pushed"]["path"]
    assert edge["training"] == server["training"]
    assert server["edge"] is None


def test_first_model_has_no_parents(server: dict[str, Any], edge: dict[str, Any]) -> None:
    assert (server["parents"], edge["parents"]) == ([], [])


def test_run_left_its_lineage_and_was_quick_about_it(server: dict[str, Any], edge: dict[str, Any], taxi: Finished) -> None:
    content = json.loads((taxi.root / "runs" / taxi.summary["run_id"] / "lineage.json").read_text())
    written = {model["pushed"]["path"]: model for model in content["models"]}
    for told in (server, edge):
        # Later runs may have pushed the same once more.
        same = written[told["pushed"]["path"]]
        assert same | {"pushed": same["pushed"] | {"again": told["pushed"]["again"]}} == told
    assert "The lineage was not written" not in (taxi.root / "runs" / taxi.summary["run_id"] / "log.txt").read_text()


@pytest.fixture(scope="module")
def small_config(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taxi with few features, two epochs and one recipe."""
    compression = {"recipes": ["dynamic"], "gates": {"metric": "auc", "max_loss": 0.05}}
    return write_small_taxi_config(repository, tmp_path_factory.mktemp("lineage"), compression)


@pytest.fixture(scope="module")
def runs(small_config: Path) -> list[Finished]:
    """A run, one with another seed, and that once more: it evaluates the second model against itself and pushes nothing new."""
    root = small_config.parent / "root"
    done = [run_here(small_config, root, f"fit.seed={seed}") for seed in (1, 2, 2)]
    assert [one.code for one in done] == [0, 0, 0], done[-1].output
    assert [one.summary["pushed"]["saved_model"] for one in done] == [f"pushed/saved_model/{i}" for i in (1, 2, 2)]
    return done


@pytest.fixture
def root(runs: list[Finished]) -> Path:
    return runs[0].root


def test_second_model_comes_from_its_own_training_on_what_the_first_run_prepared(root: Path, runs: list[Finished]) -> None:
    first, second, third = (one.summary["run_id"] for one in runs)
    told = lineage(root, "pushed/saved_model/2")
    ran_in = {stage["id"]: stage["run_id"] for stage in told["stages"]}
    assert {id for id, run in ran_in.items() if run == second} == {"Trainer", "Evaluator", "ModelGate", "Pusher"}
    assert ran_in["ExampleGen"] == ran_in["Transform"] == ran_in["DataGate"] == first
    assert (told["pushed"]["run_id"], told["pushed"]["again"]) == (second, [third])
    assert told["training"]["fit"]["seed"] == 2
    assert told["evaluation"]["metrics"] == runs[1].summary["metrics"]
    assert told["schema"]["source"] == "inferred"


def test_parent_of_the_second_model_is_the_first(root: Path, runs: list[Finished]) -> None:
    (parent,) = lineage(root, "pushed/saved_model/2")["parents"]
    assert (parent["model"], parent["run_id"]) == ("pushed/saved_model/1", runs[0].summary["run_id"])
    assert parent["trained"] < parent["pushed"] < runs[1].summary["started"].replace("Z", ".999Z")
    assert lineage(root, "pushed/saved_model/1")["parents"] == []
    assert lineage(root, "pushed/edge/2")["parents"] == [parent]
    assert lineage(root, "pushed/edge/2")["edge"]["float_model"]["model"] == "pushed/saved_model/2"


def test_json_is_the_same_every_time(root: Path) -> None:
    assert ask(root, "--json").stdout == ask(root, "--json").stdout


def test_lineage_is_read_while_a_run_holds_the_root_and_nothing_is_changed(root: Path) -> None:
    before = (root / "metadata.db").read_bytes()
    with root_lock(root):
        assert ask(root).stdout.startswith("pushed/saved_model/2 of pipeline taxi\n")
    assert (root / "metadata.db").read_bytes() == before


def test_when_ml_metadata_is_gone_the_runs_words_are_left(root: Path, tmp_path: Path) -> None:
    expected = lineage(root, "pushed/edge/2")
    shutil.copytree(root / "runs", tmp_path / "runs", symlinks=True)
    result = ask(tmp_path, "--json", "--model", "pushed/edge/2")
    told = json.loads(result.stdout)
    assert told.pop("read_from") == max(str(f.relative_to(tmp_path)) for f in tmp_path.glob("runs/2*/lineage.json"))
    assert told == {key: value for key, value in expected.items() if key != "read_from"}
    assert result.stderr.startswith(f"{tmp_path}/metadata.db does not exist. This is what was written to runs/")
    assert not (tmp_path / "metadata.db").exists()


def test_when_the_artifacts_are_gone_the_runs_words_are_left_too(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "runs", tmp_path / "runs", symlinks=True)
    shutil.copy(root / "metadata.db", tmp_path)
    result = ask(tmp_path, "--json", "--model", "pushed/saved_model/1")
    assert json.loads(result.stdout)["data"] == lineage(root, "pushed/saved_model/1")["data"]
    assert result.stderr.startswith("Gone: artifacts/ExampleGen/examples/1/ingest.json, ")
    shutil.rmtree(tmp_path / "runs")
    bare = ask(tmp_path, "--json", "--model", "pushed/saved_model/1")
    assert json.loads(bare.stdout)["training"]["fit"]["seed"] == 1
    assert json.loads(bare.stdout)["data"]["files"] == []
    assert bare.stderr.endswith("What they said is left out.\n")


def test_root_that_was_moved_tells_the_same(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "moved", symlinks=True)
    assert lineage(tmp_path / "moved", "pushed/edge/1") == lineage(root, "pushed/edge/1")


def test_events_lead_from_the_data_file_to_the_pushed_model(root: Path) -> None:
    events = [json.loads(line) for line in ask(root, "--openlineage", "--model", "pushed/edge/2").stdout.splitlines()]
    made_by = {dataset["name"]: event for event in events for dataset in event["outputs"]}
    pending, found = [str(root / "pushed" / "edge" / "2")], set()
    while pending:
        name = pending.pop()
        if name not in made_by:
            found.add(name)  # nobody made it: where it all began
            continue
        pending += [dataset["name"] for dataset in made_by[name]["inputs"]]
    baseline = next(a["uri"] for a in lineage(root, "pushed/saved_model/1")["artifacts"] if a["type"] == "Model")
    assert found == {resolve_package(TAXI), str(root / baseline)}
    assert len({event["run"]["runId"] for event in events}) == len(events) == 11


def test_tree_of_a_real_model_fits_and_tells_what_counts(root: Path, runs: list[Finished]) -> None:
    lines = ask(root).stdout.splitlines()
    assert all(len(line) <= 100 for line in lines)
    run_ids = [one.summary["run_id"] for one in runs]
    auc = runs[1].summary["metrics"]["candidate"]["auc"]
    assert lines[0] == "pushed/saved_model/2 of pipeline taxi"
    assert f"├── pushed again: with the same bytes by run {run_ids[2]}" in lines
    assert "├── gates: 1 of 1 passed" in lines
    assert f"│   └── auc: {auc:.6g}, bound >= 0.5" in lines
    assert "│   └── data.csv: 15,002 rows, 1,952,827 bytes, sha256:2eae00c2464c" in lines
    assert any(line.startswith("│   └── fit: seed=2  epochs=2  batch_size=256") for line in lines)
    assert any(line.startswith("│   └── pushed/saved_model/1, trained ") and run_ids[0] in line for line in lines)


def test_command_takes_about_a_second(root: Path, repository: Path) -> None:
    began = time.monotonic()
    command = [sys.executable, "runner_local.py", "lineage", "--root", str(root)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True, timeout=60)
    assert time.monotonic() - began < 5


def test_writing_is_quick(root: Path, runs: list[Finished]) -> None:
    began = time.monotonic()
    write_lineage(root, runs[2].summary)
    assert time.monotonic() - began < 0.5
