"""What a user may mean by a model, by rows and by an output; and what is said when there is no such thing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.errors import ConfigError
from pipeline.ingest.source import resolve_package
from pipeline.predicting import engines
from pipeline.predicting.planning import find_files, make_plan, output_kind
from pipeline.predicting.pushed import Column, find_model

EXPECTED = (
    "Expected a pushed version (<root>/pushed/saved_model/1, <root>/pushed/edge/1), the folder above it, the root of a run, "
    "or a .tflite beside its metadata.json."
)


def error_of(function, *arguments: object) -> str:
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.fixture
def root(regression: Path, packed_package: Path, tmp_path: Path) -> Path:
    """A root with SavedModels 1, 9 and 10, edge packages 1 and 2, and a version that is being pushed."""
    root = tmp_path / "root"
    for version in ("1", "9", "10", ".incoming-1"):
        shutil.copytree(regression / "pushed" / "saved_model" / "1", root / "pushed" / "saved_model" / version)
    for version in ("1", "2"):
        shutil.copytree(packed_package, root / "pushed" / "edge" / version)
    return root


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", "saved_model/10"),
        ("pushed", "saved_model/10"),
        ("pushed/saved_model/", "saved_model/10"),
        ("pushed/saved_model/9", "saved_model/9"),
        ("pushed/edge", "edge/2"),
        ("pushed/edge/1", "edge/1"),
        ("pushed/edge/1/model.tflite", "edge/1"),
    ],
)
def test_a_path_leads_to_a_version(root: Path, path: str, found: str):
    model = find_model(os.path.join(str(root), path))
    assert os.path.samefile(model.path, root / "pushed" / found)
    assert model.kind == ("SavedModel" if "saved" in found else "edge package")


def test_a_model_says_what_it_reads(root: Path, multiclass: Path):
    assert find_model(str(root)).columns == {"amount": Column("number"), "area": Column("integer"), "word": Column("text")}
    assert find_model(str(root)).classes == ()
    assert find_model(str(multiclass)).classes == ("cat", "dog", "ant, red")
    edge = find_model(str(root / "pushed" / "edge"))
    assert edge.columns == {"a": Column("number"), "b": Column("number"), "c": Column("integer"), "d": Column("integer")}


def test_a_model_is_found_on_another_file_system(multiclass: Path):
    for path in multiclass.rglob("*"):
        if path.is_file():
            target = f"ram://predict/pushed/7/{path.relative_to(multiclass)}"
            tf.io.gfile.makedirs(os.path.dirname(target))
            tf.io.gfile.copy(str(path), target)
    model = find_model("ram://predict/pushed")
    assert (model.path, model.classes) == ("ram://predict/pushed/7", ("cat", "dog", "ant, red"))
    tf.io.gfile.remove("ram://predict/pushed/7/assets.extra/raw_features.json")
    assert "has no assets.extra/raw_features.json" in error_of(find_model, "ram://predict/pushed/7")
    tf.io.gfile.rmtree("ram://predict")


def test_what_is_no_model_is_named(root: Path, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert error_of(find_model, str(empty)) == f"--model: {empty} does not exist, or is empty. {EXPECTED}"
    (empty / "notes.txt").write_text("")
    assert error_of(find_model, str(empty)) == f"--model: {empty} holds no pushed model. {EXPECTED}"
    assert error_of(find_model, f"{empty}/x.tflite") == f"--model: {empty}/x.tflite does not exist. {EXPECTED}"
    (empty / "x.tflite").write_bytes(b"")
    assert error_of(find_model, f"{empty}/x.tflite") == (
        f"--model: {empty}/x.tflite has no metadata.json beside it. {EXPECTED}"
    )
    version = root / "pushed" / "edge" / "2"
    (version / "other.tflite").write_bytes(b"")
    assert error_of(find_model, f"{version}/other.tflite") == (
        f"--model: {version}/metadata.json does not describe other.tflite, but model.tflite. Name one of them."
    )
    (version / "metadata.json").write_text("{")
    assert error_of(find_model, str(version)).startswith(f"--model: {version}/metadata.json is no JSON: ")
    version = root / "pushed" / "saved_model" / "10"
    shutil.rmtree(version / "assets.extra")
    assert error_of(find_model, str(root)) == (
        f"--model: {version} has no assets.extra/raw_features.json, so nobody knows which columns it reads. "
        "Run its pipeline again."
    )


@pytest.mark.parametrize(
    ("names", "path", "found"),
    [
        (["b.csv", "a.csv.gz", "c.txt"], "", (["b.csv"], "csv")),
        (["a.csv.zst"], "", (["a.csv.zst"], "csv")),
        (["a.ndjson", "b.jsonl.bz2", "c.json", "s.quarantine.jsonl"], "", (["b.jsonl.bz2"], "jsonl")),
        (["c.json", "s.quarantine.jsonl"], "", (["c.json"], "jsonl")),
        (["a.csv", "b.parquet"], "*.parquet", (["b.parquet"], "parquet")),
        (["a[1].CSV"], "a[1].CSV", (["a[1].CSV"], "csv")),
    ],
)
def test_files_are_found_with_their_format(tmp_path: Path, names: list[str], path: str, found):
    for name in names:
        (tmp_path / name).touch()
    files, kind = find_files(str(tmp_path / path), None)
    assert ([os.path.basename(file) for file in files], kind) == found


def test_files_are_found_by_a_format_that_is_named(tmp_path: Path):
    for name in ("a.csv", "b.parquet", "c.txt"):
        (tmp_path / name).touch()
    assert find_files(str(tmp_path), "parquet") == ([str(tmp_path / "b.parquet")], "parquet")
    assert find_files(str(tmp_path / "c.txt"), "csv") == ([str(tmp_path / "c.txt")], "csv")


def test_files_that_are_not_there_or_of_no_format_are_named(tmp_path: Path):
    assert error_of(find_files, f"{tmp_path}/no.csv", None) == f"--input: {tmp_path}/no.csv does not exist."
    assert error_of(find_files, f"{tmp_path}/*.csv", None) == f"--input: {tmp_path}/*.csv matches no file."
    assert error_of(find_files, str(tmp_path), None) == f"--input: {tmp_path} holds no csv or parquet or jsonl file."
    for name in ("a.csv", "b.parquet", "c.txt"):
        (tmp_path / name).touch()
    assert error_of(find_files, str(tmp_path), None) == (
        f"--input: {tmp_path} holds files of several formats: csv, parquet. Name one with --format."
    )
    assert error_of(find_files, f"{tmp_path}/[ab].*", None) == (
        f"--input: {tmp_path}/[ab].* matches files of several formats: .csv, .parquet. Name files of one."
    )
    assert error_of(find_files, f"{tmp_path}/c.txt", None) == (
        f"--input: '.txt' is no known extension ({tmp_path}/c.txt). Expected .csv, .parquet, .jsonl, .ndjson, .json, "
        "perhaps with .gz, .bz2, .zst; or name the --format."
    )


def test_missing_columns_are_named_with_near_ones(regression: Path, tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text("Amount,aera,id\n1,2,3\n")
    assert error_of(make_plan, str(regression), str(path), ["idd", "id"]) == (
        f"the model reads column 'amount', which is not in {path}. Did you mean 'Amount'?\n"
        f"the model reads column 'area', which is not in {path}. Did you mean 'aera'?\n"
        f"the model reads column 'word', which is not in {path}.\n"
        f"--keep idd: there is no such column in {path}. Did you mean 'id'?\n"
        "Its columns: Amount, aera, id."
    )


def test_every_file_needs_the_columns_in_whatever_order(regression: Path, tmp_path: Path):
    (tmp_path / "a.csv").write_text("word,area,amount\n")
    (tmp_path / "b.csv").write_text("amount,more,word,area\n")
    assert len(make_plan(str(regression), str(tmp_path)).files) == 2
    (tmp_path / "c.csv").write_text("amount,word\n")
    assert error_of(make_plan, str(regression), str(tmp_path)).startswith(
        f"the model reads column 'area', which is not in {tmp_path}/c.csv."
    )


def test_a_file_that_cannot_be_read_is_bad_usage(regression: Path, tmp_path: Path):
    (tmp_path / "a.parquet").write_text("no")
    assert error_of(make_plan, str(regression), str(tmp_path)).startswith(
        f"--input: {tmp_path}/a.parquet cannot be read as Parquet: "
    )


def test_a_carried_column_may_not_be_called_as_the_models_own_output_is(regression: Path, tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text("amount,area,word,prediction\n")
    assert error_of(make_plan, str(regression), str(path), ["prediction"]) == (
        "--keep prediction: the model's own output has that name. Rename the column in the files."
    )


def test_an_output_says_its_format(tmp_path: Path):
    for name, kind in (
        ("s.csv", "csv"),
        ("s.csv.gz", "csv"),
        ("s.parquet", "parquet"),
        ("s.json", "jsonl"),
        ("s.JSONL", "jsonl"),
    ):
        assert output_kind(str(tmp_path / name), []) == kind
    assert output_kind("-", []) == "csv"
    path = tmp_path / "rows.csv"
    path.touch()
    (tmp_path / "folder.csv").mkdir()
    assert error_of(output_kind, "s.txt", []) == (
        "--output: 's.txt' does not say a format. Expected one of: .csv, .parquet, .jsonl, .ndjson, .json."
    )
    assert (
        error_of(output_kind, "s.parquet.gz", []) == "--output: s.parquet.gz: Parquet is compressed inside. Name it s.parquet."
    )
    assert error_of(output_kind, f"{tmp_path}/no/s.csv", []) == f"--output: the folder {tmp_path}/no does not exist."
    assert error_of(output_kind, f"{tmp_path}/folder.csv", []) == f"--output: {tmp_path}/folder.csv is a folder. Name a file."
    assert error_of(output_kind, f"{tmp_path}/./rows.csv", [str(path)]) == (
        f"--output: {tmp_path}/./rows.csv is one of the files to read. Name another."
    )


def test_auto_takes_beam_only_if_a_runner_is_named(tmp_path: Path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("a\n" * 100)
    assert engines.choose("auto", [], [str(path)], "s.csv") == ("direct", "fastest on one machine")
    assert engines.choose("auto", ["--runner=DirectRunner"], [str(path)], "s.csv") == ("beam", "a runner is named")
    assert engines.choose("beam", [], [str(path)], "s.csv") == ("beam", "as asked for")
    assert engines.choose("direct", [], [str(path)], "s.csv") == ("direct", "as asked for")
    monkeypatch.setattr(engines, "LARGE_BYTES", 100)
    assert engines.choose("auto", [], [str(path)], "s.csv")[1] == (
        "fastest on one machine; a runner with more of them shares 200 bytes out: --runner DataflowRunner"
    )
    assert error_of(engines.choose, "direct", ["--runner=x"], [], "s.csv") == (
        "--engine direct takes no arguments for Beam, received --runner=x. Leave out one of the two."
    )
    assert error_of(engines.choose, "beam", [], [], "-") == (
        "--output -: Beam's workers write shards, not to stdout. Name a file, or use --engine direct."
    )


def test_a_file_inside_a_package_can_be_read(regression: Path):
    path = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
    assert find_files(path, None) == ([resolve_package(path)], "csv")


def test_metadata_of_raw_inputs_is_read(packed_package: Path):
    metadata = json.loads((packed_package / "metadata.json").read_text())
    inputs = [{"name": "a", "dtype": "float32"}, {"name": "b", "dtype": "bytes"}, {"name": "c", "dtype": "int64"}]
    metadata["raw_model"] = {"file": "raw_model.tflite", "inputs": inputs}
    (packed_package / "metadata.json").write_text(json.dumps(metadata))
    (packed_package / "raw_model.tflite").write_bytes(b"")
    model = find_model(str(packed_package / "raw_model.tflite"))
    assert (model.kind, model.file) == ("edge model with raw inputs", "raw_model.tflite")
    assert model.columns == {"a": Column("number"), "b": Column("text"), "c": Column("integer")}
