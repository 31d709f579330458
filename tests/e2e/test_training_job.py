"""A plain custom training job of Vertex AI: its environment says where data is and where the model goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from small_pipeline import write_config

from pipeline.errors import ConfigError, DataError
from pipeline.vertex.train_job import Job, gather

pytestmark = pytest.mark.e2e


def parts_of(data: Path, folder: Path) -> None:
    """Split a CSV file as Vertex AI exports a dataset."""
    header, *rows = data.read_text().splitlines()
    for name, part in (("training-1", rows[:200]), ("training-2", rows[200:400]), ("validation-1", rows[400:])):
        (folder / f"{name}.csv").write_text("\n".join([header, *part]) + "\n")


def test_model_goes_where_vertex_says_and_is_judged_on_the_validation_files(repository: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path)
    parts_of(tmp_path / "data.csv", tmp_path)
    (tmp_path / "data.csv").unlink()
    said = {
        "AIP_DATA_FORMAT": "csv",
        "AIP_TRAINING_DATA_URI": f"{tmp_path}/training-*",
        "AIP_VALIDATION_DATA_URI": f"{tmp_path}/validation-*",
        "AIP_MODEL_DIR": f"{tmp_path}/out/model/",
        "AIP_TENSORBOARD_LOG_DIR": f"{tmp_path}/out/logs/",
    }
    command = [sys.executable, "-m", "pipeline.vertex.train_job", "--config", str(config), "--root", str(tmp_path / "root")]
    done = subprocess.run(command, cwd=repository, env=os.environ | said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    served = tf.saved_model.load(str(tmp_path / "out" / "model"))
    assert {"serving_default", "transform_features"} <= set(served.signatures)
    assert list((tmp_path / "out" / "logs").rglob("events.out.tfevents.*"))
    report = next((tmp_path / "root" / "artifacts" / "ExampleGen").rglob("ingest.json")).read_text()
    assert '"train": 400' in report
    assert '"eval": 200' in report


def test_rows_of_all_files_come_together_with_the_part_they_are_of(tmp_path: Path) -> None:
    (tmp_path / "training-1.csv").write_text('a,b\n1,"x, y"\n')
    (tmp_path / "training-2.csv").write_text("a,b\n2,z\n")
    (tmp_path / "validation-1.csv").write_text("a,b\n3,w\n")
    gather({"training": f"{tmp_path}/training-*", "validation": f"{tmp_path}/validation-*"}, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().splitlines() == [
        "a,b,aip_ml_use",
        '1,"x, y",training',
        "2,z,training",
        "3,w,validation",
    ]


def test_files_of_other_columns_and_no_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "training-1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "training-2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"training-2\.csv: expected the columns \['a', 'b'\], found \['a', 'c'\]\."):
        gather({"training": f"{tmp_path}/training-*"}, tmp_path / "all.csv")
    with pytest.raises(DataError, match=r"There is no file .*/none-\*, which Vertex AI says the data is in\."):
        gather({"training": f"{tmp_path}/none-*"}, tmp_path / "all.csv")


def test_other_formats_are_refused_with_a_way_out() -> None:
    said = {"AIP_TRAINING_DATA_URI": "bq://p.d.t", "AIP_DATA_FORMAT": "bigquery"}
    with pytest.raises(ConfigError, match=r"AIP_DATA_FORMAT: expected csv, found 'bigquery'\. Export the dataset as CSV"):
        Job.read(said)
    assert Job.read({}) == Job(None, None, None, None)
