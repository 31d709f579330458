"""Batch predictions of a registered version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.cloud import aiplatform_v1 as api
from served_models import ModelService

from pipeline.vertex.batch import BatchOptions
from pipeline.vertex.registry import Registered
from pipeline.vertex.serving_commands import batch_predict

TAXI = "projects/my-project/locations/europe-west4/models/taxi"
EXAMPLES = "gs://my-bucket/taxi/examples/Split-eval/data_tfrecord-00000-of-00001.gz"


@pytest.mark.usefixtures("champion")
def test_job_scores_with_the_champion(service: ModelService, runtime_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch_predict(runtime_file, BatchOptions(EXAMPLES, "gs://my-bucket/scores/"), True, False) == 0
    (job,) = service.sent("CreateBatchPredictionJob")
    assert job == {
        "displayName": "taxi-1",
        "model": f"{TAXI}@1",
        "inputConfig": {"instancesFormat": "tf-record-gzip", "gcsSource": {"uris": [EXAMPLES]}},
        "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://my-bucket/scores"}},
        "dedicatedResources": {
            "machineSpec": {"machineType": "n1-standard-2"},
            "startingReplicaCount": 1,
            "maxReplicaCount": 1,
        },
        "serviceAccount": "pipeline@my-project.iam.gserviceaccount.com",
        "labels": {"team": "taxi"},
    }
    assert capsys.readouterr().out.splitlines()[-1] == "Scored: gs://my-bucket/scores/prediction-1"


@pytest.mark.parametrize(
    ("options", "kind", "version"),
    [
        (BatchOptions("gs://b/x.jsonl", "gs://b/o", version="1"), "jsonl", "1"),
        (BatchOptions("gs://b/x*.tfrecord", "gs://b/o"), "tf-record", "2"),
        (BatchOptions("gs://b/x-*", "gs://b/o", kind="tf-record", version="candidate"), "tf-record", "2"),
    ],
)
def test_format_and_version_are_found(
    service: ModelService, push: Callable[..., Registered], runtime_file: Path, options: BatchOptions, kind: str, version: str
) -> None:
    push(1)
    push(2)
    assert batch_predict(runtime_file, options, False, False) == 0
    (job,) = service.sent("CreateBatchPredictionJob")
    assert (job["inputConfig"]["instancesFormat"], job["model"]) == (kind, f"{TAXI}@{version}")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("bq://my-project.rides.today", "gs://b/o", "--input: 'bq://my-project.rides.today' is not in Cloud Storage."),
        ("gs://b/rows.csv", "gs://b/o", "--input: 'gs://b/rows.csv' does not say what it holds."),
        ("gs://b/x.jsonl", "/tmp/o", "--output: '/tmp/o' is no gs:// folder. Name one: gs://my-bucket/predictions"),
    ],
)
def test_what_the_container_cannot_read_is_refused(
    service: ModelService,
    push: Callable[..., Registered],
    runtime_file: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    target: str,
    message: str,
) -> None:
    push(1)
    assert batch_predict(runtime_file, BatchOptions(source, target), False, False) == 2
    assert capsys.readouterr().err.startswith(message)
    assert service.sent("CreateBatchPredictionJob") == []


def test_job_that_fails_says_why(
    service: ModelService, push: Callable[..., Registered], runtime_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(1)

    def fail(job: api.BatchPredictionJob) -> None:
        raise RuntimeError("Unable to prepare an infrastructure.")

    service.do("BatchPredictionJob", fail)
    assert batch_predict(runtime_file, BatchOptions(EXAMPLES, "gs://b/o"), True, False) == 1
    error = capsys.readouterr().err
    assert "is failed: Unable to prepare an infrastructure. Its log: https://console.cloud.google.com/logs/" in error


def test_dry_run_starts_no_job(
    service: ModelService, push: Callable[..., Registered], runtime_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(1)
    assert batch_predict(runtime_file, BatchOptions(EXAMPLES, "gs://b/o"), True, True) == 0
    assert '"method": "create_batch_prediction_job"' in capsys.readouterr().out
    assert service.jobs == []
