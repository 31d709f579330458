"""ExampleGen as a TFX component: spans, cache, artifact, and its place in a pipeline."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from ml_metadata.metadata_store import metadata_store
from pyarrow import csv, parquet
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.extensions.google_cloud_big_query.example_gen.component import BigQueryExampleGen

from pipeline import stages
from pipeline.artifacts import ingest_report_path, quarantine_path
from pipeline.components.example_gen import ColumnarExampleGen, read_ingest_report
from pipeline.config import PipelineConfig
from pipeline.graph import build_pipeline
from pipeline.ingest.data_files import FileDigests
from pipeline.ingest.ingesting import ingest
from pipeline.local.execution import CompiledPipeline
from pipeline.local.results import StageResult
from pipeline.local.runtime import LocalRuntime
from pipeline.vertex.compiling import compile_job
from pipeline.vertex.runtime import VertexRuntime

ROWS = "x,t,y\n" + "".join(f"{i},t{i},{i % 2}\n" for i in range(40))


def config_of(data: Mapping[str, Any]) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "mini",
            "task": "tabular",
            "data": data,
            "label": {"kind": "binary", "column": "y"},
            "features": {"x": {"kind": "numeric"}},
            "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
        }
    )


@pytest.fixture
def runtime(tmp_path: Path) -> LocalRuntime:
    return LocalRuntime(tmp_path / "root")


@pytest.fixture
def run(runtime: LocalRuntime) -> Callable[..., tuple[StageResult, Any]]:
    """Run ExampleGen with TFX's driver and launcher; return what became of it and its examples, None if it failed."""
    runtime.root.mkdir()
    runs: list[None] = []

    def run_once(**data: Any) -> tuple[StageResult, Any]:
        runs.append(None)
        pipeline = runtime.pipeline("mini", [stages.ingest(config_of(data), runtime)])
        compiled = CompiledPipeline(pipeline, f"run-{len(runs)}")
        result = compiled.launch("ExampleGen")
        if result.state == "failed":
            return result, None
        store = metadata_store.MetadataStore(compiled.metadata_config)
        events = store.get_events_by_execution_ids([result.execution_id])
        (artifact,) = store.get_artifacts_by_id([events[-1].artifact_id])
        return result, artifact

    return run_once


def write(path: Path, content: str = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_every_unusable_row_is_in_the_artifact(tmp_path: Path, run):
    result, examples = run(path=str(write(tmp_path / "a.csv", ROWS + "1,2\nabc,t,1\n")), max_bad_rows=0.1, rows_per_shard=10)
    assert result.state == "ran", result.error
    lines = Path(quarantine_path(examples.uri)).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": str(tmp_path / "a.csv"), "row": 42, "reason": "2 fields, expected 3", "text": "1,2"},
        {
            "file": str(tmp_path / "a.csv"),
            "row": 43,
            "reason": "column 'x' holds 'abc', not a number (it is used as numeric)",
        },
    ]
    report = read_ingest_report(examples.uri)
    assert report["num_quarantined"] == 2
    shards = sorted(Path(examples.uri, "Split-train").iterdir())
    assert [shard.name for shard in shards] == [f"examples-{i:05d}.gz" for i in range(-(-report["examples"]["train"] // 10))]
    assert len(shards) > 1
    records = tf.data.TFRecordDataset([str(shard) for shard in shards], compression_type="GZIP")
    assert sum(1 for _ in records) == report["examples"]["train"]


def test_files_that_were_read_are_in_the_artifact(tmp_path: Path, run):
    content = write(tmp_path / "a.csv").read_bytes()
    result, examples = run(path=str(tmp_path / "*.csv"))
    assert result.state == "ran", result.error
    report = read_ingest_report(examples.uri)
    (file,) = report["files"]
    digest = hashlib.sha256(content).hexdigest()
    assert {key: file[key] for key in ("path", "rows", "size_bytes", "sha256")} == {
        "path": str(tmp_path / "a.csv"),
        "rows": 40,
        "size_bytes": len(content),
        "sha256": digest,
    }
    assert report["sha256"] == hashlib.sha256(f"{digest}  a.csv\n".encode()).hexdigest()


def test_too_many_unusable_rows_stop_the_stage_and_are_named(tmp_path: Path, run):
    result, _ = run(path=str(write(tmp_path / "a.csv", ROWS + "1,2\n")))
    assert result.state == "failed"
    assert result.error == (
        "1 of 41 rows cannot be used (2.4%); `data.max_bad_rows` allows 0.1%. a.csv row 42: 2 fields, expected 3. Mend them, "
        "or raise `data.max_bad_rows` to set them aside and have them all in quarantine.jsonl beside the examples."
    )


def test_the_newest_span_is_read_and_becomes_a_property(tmp_path: Path, run):
    for span, rows in ((2, 20), (10, 30)):
        lines = ROWS.splitlines(keepends=True)
        write(tmp_path / f"span-{span}" / "a.csv", "".join(lines[: rows + 1]))
    path = str(tmp_path / "span-{SPAN}" / "*.csv")
    newest, examples = run(path=path)
    assert newest.state == "ran", newest.error
    assert examples.custom_properties["span"].int_value == 10
    assert sum(read_ingest_report(examples.uri)["examples"].values()) == 30

    chosen, examples = run(path=path, span=2)
    assert chosen.state == "ran", chosen.error
    assert examples.custom_properties["span"].int_value == 2
    assert sum(read_ingest_report(examples.uri)["examples"].values()) == 20

    assert run(path=path)[0].state == "reused"
    write(tmp_path / "span-11" / "a.csv")
    again, examples = run(path=path)
    assert again.state == "ran"
    assert examples.custom_properties["span"].int_value == 11


def test_a_change_in_the_span_that_is_read_is_no_cache_hit_and_one_in_another_span_is(tmp_path: Path, run):
    for span in (1, 2):
        write(tmp_path / f"{span}.csv")
    path = str(tmp_path / "{SPAN}.csv")
    assert run(path=path)[0].state == "ran"
    write(tmp_path / "1.csv", ROWS.replace("t7", "t8"))
    assert run(path=path)[0].state == "reused"
    before = (tmp_path / "2.csv").stat()
    write(tmp_path / "2.csv", ROWS.replace("t7", "t8"))
    assert (tmp_path / "2.csv").stat().st_size == before.st_size  # TFX's own fingerprint may not see it
    assert run(path=path)[0].state == "ran"


def test_touched_file_is_reused_and_so_is_a_copy_elsewhere(tmp_path: Path, run):
    path = write(tmp_path / "data.csv")
    assert run(path=str(path))[0].state == "ran"
    os.utime(path, (0, 0))
    assert run(path=str(path))[0].state == "reused"
    copy = write(tmp_path / "elsewhere" / "copy.csv")
    path.unlink()
    assert run(path=str(copy))[0].state == "reused"


def test_what_the_copy_holds_is_read_where_it_lies(tmp_path: Path, run):
    assert run(path=str(write(tmp_path / "data.csv")))[0].state == "ran"
    other = write(tmp_path / "elsewhere" / "other.csv", ROWS + ROWS.splitlines()[-1] + "\n")
    result, examples = run(path=str(other))
    assert result.state == "ran"
    assert sum(read_ingest_report(examples.uri)["examples"].values()) == len(ROWS.splitlines())
    assert run(path=str(tmp_path / "data.csv"))[0].state == "reused"


def test_data_that_changes_while_it_is_read_is_no_result(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "data.csv")

    def while_reading(*arguments: Any) -> Any:
        report = ingest(*arguments)
        write(path, ROWS.replace("t7", "t8"))
        return report

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.components.example_gen_executor.ingest", while_reading)
        result, _ = run(path=str(path))
    assert result.state == "failed"
    assert result.error == f"The data in {path} changed while it was read. Run again."
    assert run(path=str(path))[0].state == "ran"


def test_data_that_changes_between_hashing_and_reading_is_no_result(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "data.csv")
    of = FileDigests.of

    def then_grow(*arguments: str) -> FileDigests:
        digests = of(*arguments)
        write(path, ROWS + "41,t41,1\n")
        return digests

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.ingest.data_files.FileDigests.of", then_grow)
        result, _ = run(path=str(path))
    assert (result.state, result.error) == ("failed", f"The data in {path} changed while the run began. Run again.")


def test_dated_spans_and_versions_are_found(tmp_path: Path, run):
    for name in ("2023-12-31/v1", "2024-01-01/v1", "2024-01-01/v2"):
        write(tmp_path / name / "a.csv")
    result, examples = run(path=str(tmp_path / "{YYYY}-{MM}-{DD}" / "v{VERSION}" / "*.csv"))
    assert result.state == "ran", result.error
    assert examples.custom_properties["span"].int_value == 19723
    assert examples.custom_properties["version"].int_value == 2


def test_parquet_in_a_folder_is_read(tmp_path: Path, run):
    parquet.write_table(csv.read_csv(write(tmp_path / "a.csv")), tmp_path / "a.parquet")
    result, examples = run(kind="parquet", path=str(tmp_path))
    assert result.state == "ran", result.error
    assert read_ingest_report(examples.uri)["types"] == {"x": "int64", "t": "string", "y": "int64"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_remote_files_are_ingested_by_the_component(tmp_path: Path, run, kind: str):
    """On TensorFlow's in-memory file system, which takes the same way as gs://: tf.io.gfile, and no local path anywhere."""
    local = write(tmp_path / "a.csv")
    if kind == "parquet":
        parquet.write_table(csv.read_csv(local), tmp_path / "a.parquet")
    folder = f"ram://example-gen-{kind}"
    for span in (3, 4):
        tf.io.gfile.makedirs(f"{folder}/span-{span}")
        tf.io.gfile.copy(str(tmp_path / f"a.{kind}"), f"{folder}/span-{span}/a.{kind}")
    result, examples = run(kind=kind, path=f"{folder}/span-{{SPAN}}/*.{kind}")
    tf.io.gfile.rmtree(folder)
    assert result.state == "ran", result.error
    report = read_ingest_report(examples.uri)
    assert sum(report["examples"].values()) == 40
    assert report["files"][0]["path"] == f"{folder}/span-4/a.{kind}"
    assert report["files"][0]["size_bytes"] == (tmp_path / f"a.{kind}").stat().st_size
    assert (report["files"][0]["sha256"], report["sha256"]) == (None, None)
    assert examples.custom_properties["span"].int_value == 4


def test_it_stays_what_vertex_keeps_the_driver_of(tmp_path: Path, runtime: LocalRuntime):
    component = stages.ingest(config_of({"path": str(write(tmp_path / "a.csv"))}), runtime)
    assert isinstance(component, ColumnarExampleGen)
    assert isinstance(component, FileBasedExampleGen)
    assert isinstance(component.executor_spec, BeamExecutorSpec)
    assert component.id == "ExampleGen"


BIGQUERY = {
    "kind": "bigquery",
    "query": "SELECT * FROM `p.d.t`",
    "project": "payer-1",
    "temp_location": "gs://bucket-1/tmp",
    "split": {"train": 8, "eval": 2},
}


def test_bigquery_is_tfxs_own_example_gen(runtime: LocalRuntime):
    component = stages.ingest(config_of(BIGQUERY), runtime)
    assert isinstance(component, BigQueryExampleGen)
    assert component.id == "ExampleGen"
    output = json.loads(component.exec_properties["output_config"])
    assert output["split_config"]["splits"] == [
        {"hash_buckets": 8, "name": "train"},
        {"hash_buckets": 2, "name": "eval"},
    ]
    assert "SELECT * FROM `p.d.t`" in component.exec_properties["input_config"]
    assert component.executor_spec.beam_pipeline_args == ["--project=payer-1", "--temp_location=gs://bucket-1/tmp"]


def test_a_pipeline_over_a_query_compiles_for_this_machine_and_for_vertex(runtime: LocalRuntime):
    config = config_of(BIGQUERY)
    assert CompiledPipeline(build_pipeline(config, runtime), "run").stage_ids[0] == "ExampleGen"
    vertex = VertexRuntime(project="my-project", region="europe-west4", bucket="gs://bucket-1", image="image:1.0")
    tasks = compile_job(config, vertex)["pipelineSpec"]["root"]["dag"]["tasks"]
    assert "SELECT * FROM `p.d.t`" in json.dumps(tasks["ExampleGen"]["inputs"]["parameters"])


def test_examples_of_another_example_gen_have_no_report(tmp_path: Path):
    assert not Path(ingest_report_path(str(tmp_path))).exists()
    assert read_ingest_report(str(tmp_path)) == {"examples": {}, "num_quarantined": 0}
