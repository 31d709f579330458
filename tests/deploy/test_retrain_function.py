"""The retrain function, served by the real functions-framework, against stand-ins of Vertex AI and Cloud Storage."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from retrain_cloud import JOB, LOCATION, MARKER, REPORT, complete
from retrain_service import BUCKET, DATA, SLOT, serving

CAUSES = {
    "schedule": lambda cloud, function: function.scheduled().status_code,
    "span": complete,
    "drift": lambda cloud, function: function.finalized(BUCKET, "taxi/drift/1.json", REPORTED).status_code,
}
REPORTED = 17


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_submits_one_job_however_often_it_is_told(cause, cloud, function):
    cloud.storage.objects[BUCKET, "taxi/drift/1.json"] = (REPORTED, json.dumps(REPORT).encode())
    assert CAUSES[cause](cloud, function) == 200, function.last
    (job,) = cloud.jobs
    assert re.fullmatch(rf"{LOCATION}/pipelineJobs/taxi-{cause}-[0-9a-f]{{16}}", job.name)
    assert (job.labels["cause"], job.labels["span"], job.labels["pipeline"]) == (cause, "7", "taxi")
    told = {
        "schedule": f"Submitted: it is scheduled for {SLOT}.",
        "span": f"Submitted: gs://{DATA}/{MARKER} says that a span is complete.",
        "drift": f"Submitted: gs://{BUCKET}/taxi/drift/1.json tells of drift in fare.",
    }
    assert function.last == ("NOTICE", told[cause])
    assert CAUSES[cause](cloud, function) == 200
    assert function.last == ("INFO", "No new job: it has its job already.")
    # After its end, too.
    cloud.finish()
    assert CAUSES[cause](cloud, function) == 200
    assert len(cloud.jobs) == 1


def test_the_job_is_that_of_a_config_that_names_the_span(cloud, function, compiled):
    from google.cloud.aiplatform_v1 import PipelineJob

    assert complete(cloud, function) == 200, function.last
    request = cloud.vertex.calls[-1].request
    expected = PipelineJob.from_json(compiled["seven"].decode())
    assert PipelineJob.to_dict(request.pipeline_job)["pipeline_spec"] == PipelineJob.to_dict(expected)["pipeline_spec"]
    assert request.pipeline_job.runtime_config == expected.runtime_config
    assert request.pipeline_job.service_account == expected.service_account


def test_a_job_that_the_list_does_not_show_is_not_submitted_twice(cloud, function):
    assert complete(cloud, function) == 200
    cloud.jobs[0].labels["pipeline"] = "out of the list"
    assert complete(cloud, function) == 200
    assert function.last == ("INFO", "No new job: it was submitted before.")
    assert len(cloud.jobs) == 1


def test_causes_at_the_same_time_start_one_job(cloud, function):
    slots = [f"2026-11-26T0{hour}:00:00Z" for hour in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert {answer.status_code for answer in pool.map(function.scheduled, slots)} == {200}
    assert len(cloud.jobs) == 1


def test_a_span_without_its_marker_starts_nothing_and_is_not_read(cloud, function):
    assert complete(cloud, function, "taxi/span-008/rows.csv") == 200
    assert function.last == ("DEBUG", "Nothing to train for.")
    assert cloud.jobs == []
    assert function.scheduled().status_code == 200
    assert cloud.jobs[0].labels["span"] == "7"


@pytest.mark.parametrize(
    ("bucket", "name"),
    [(BUCKET, MARKER), (DATA, "taxi/drift/1.json"), (BUCKET, "sales/drift/1.json"), (DATA, "taxi/span-7/_SUCCESS")],
)
def test_objects_that_nobody_watches_start_nothing(bucket, name, cloud, function):
    assert function.finalized(bucket, name, 1).status_code == 200
    assert function.last == ("DEBUG", "Nothing to train for.")


def test_a_span_that_a_newer_one_follows_is_left_out(cloud, function):
    assert complete(cloud, function, "taxi/span-005/_SUCCESS") == 200
    assert function.last == ("INFO", "No new job: span 7 is complete, and newer.")
    assert cloud.jobs == []


def test_a_marker_that_is_written_again_counts_once_more_and_its_first_writing_no_more(cloud, function):
    assert complete(cloud, function) == 200
    cloud.finish()
    before = cloud.storage.objects[DATA, MARKER][0]
    cloud.storage.put(DATA, MARKER)
    assert function.finalized(DATA, MARKER, before + 1).status_code == 200
    assert function.last == ("INFO", "No new job: its marker changed since.")
    assert complete(cloud, function) == 200
    assert len(cloud.jobs) == 2


def test_without_a_complete_span_there_is_no_job(cloud, function):
    for name in (MARKER, "taxi/span-005/_SUCCESS"):
        del cloud.storage.objects[DATA, name]
    assert function.scheduled().status_code == 200
    assert function.last == ("ERROR", f"No span is complete: gs://{DATA} has no object that matches taxi/span-*/_SUCCESS.")


@pytest.mark.parametrize("cause", ["schedule", "drift"])
def test_while_a_job_runs_schedule_and_drift_start_none_and_say_so(cause, cloud, function):
    cloud.storage.objects[BUCKET, "taxi/drift/1.json"] = (REPORTED, json.dumps(REPORT).encode())
    assert function.scheduled("2026-11-25T03:00:00Z").status_code == 200
    running = cloud.jobs[0].name.rpartition("/")[2]
    assert CAUSES[cause](cloud, function) == 200
    assert function.last == ("INFO", f"No new job: {running} is pending.")
    assert len(cloud.jobs) == 1


def test_a_span_that_arrives_while_a_job_runs_comes_back_until_it_has_its_job(cloud, function):
    assert function.scheduled().status_code == 200
    running = cloud.jobs[0].name.rpartition("/")[2]
    cloud.storage.put(DATA, "taxi/span-008/_SUCCESS")
    assert complete(cloud, function, "taxi/span-008/_SUCCESS") == 503
    waits = f"The span waits: {running} is pending. Its event will be delivered again."
    assert function.last == ("NOTICE", waits)
    old = (datetime.now(timezone.utc) - timedelta(hours=21)).isoformat()
    assert complete(cloud, function, "taxi/span-008/_SUCCESS", time=old) == 503
    assert function.last == ("ERROR", f"{waits} It will not be delivered much longer: docs/continuous_training.md.")
    cloud.finish()
    assert complete(cloud, function, "taxi/span-008/_SUCCESS") == 200
    assert [job.labels["span"] for job in cloud.jobs] == ["8", "7"]


def test_a_span_that_a_job_reads_already_needs_none(cloud, function):
    assert function.scheduled().status_code == 200
    assert complete(cloud, function) == 200
    running = cloud.jobs[0].name.rpartition("/")[2]
    assert function.last == ("INFO", f"No new job: {running} reads this span.")
    # Of a job that failed it was not read.
    cloud.finish("FAILED")
    assert complete(cloud, function) == 200
    assert [job.labels["cause"] for job in cloud.jobs] == ["span", "schedule"]


def test_jobs_keep_their_distance(cloud, function):
    assert function.scheduled("2026-11-25T03:00:00Z").status_code == 200
    first = cloud.jobs[0].name.rpartition("/")[2]
    cloud.finish(hours_ago=1.5)
    assert function.scheduled().status_code == 200
    assert function.last == ("INFO", f"No new job: {first} was started 1.5 hours ago, and MIN_HOURS_BETWEEN is 2.")
    cloud.storage.put(DATA, MARKER)
    assert complete(cloud, function) == 503
    cloud.finish(hours_ago=2.1)
    assert function.scheduled().status_code == 200
    assert len(cloud.jobs) == 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("span-{SPAN}/_SUCCESS", ["span-7/_SUCCESS", "span-12/_SUCCESS", "span-12/rows.csv"]),
        ("span-{SPAN:3}/_SUCCESS", ["span-007/_SUCCESS", "span-012/_SUCCESS"]),
        ("{YYYY}-{MM}-{DD}/done", ["2026-11-25/done", "2026-02-28/done"]),
    ],
)
def test_spans_are_counted_as_the_pipeline_counts_them(pattern, names, venv, source, tmp_path):
    from pipeline.ingest.spans import resolve_span

    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    program = "import sys; from span_patterns import SpanPattern as P; p = P(sys.argv[1]); print(*map(p.number, sys.argv[2:]))"
    command = [venv / "bin/python", "-B", "-c", program, pattern, *names]
    done = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    numbers = [int(number) for number in done.stdout.split() if number != "None"]
    assert max(numbers) == resolve_span(str(tmp_path), pattern).number
    assert len(numbers) == 2


def test_a_published_job_is_the_one_that_is_submitted(cloud, function, repository, stand_ins, compiled, tmp_path, monkeypatch):
    del cloud.storage.objects[BUCKET, JOB]
    (tmp_path / "job.json").write_bytes(compiled["newest"])
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stand_ins[2]["STORAGE_EMULATOR_HOST"])
    command = [sys.executable, repository / "tools/publish_job.py", tmp_path / "job.json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    generation, content = cloud.storage.objects[BUCKET, JOB]
    assert done.stdout == f"gs://{BUCKET}/{JOB}#{generation}\n"
    assert content == compiled["newest"]
    assert complete(cloud, function) == 200
    assert len(cloud.jobs) == 1


def test_what_is_no_job_is_not_published(repository, tmp_path):
    (tmp_path / "job.json").write_text("{}")
    command = [sys.executable, repository / "tools/publish_job.py", tmp_path / "job.json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1, f"{tmp_path}/job.json is no compiled job (KeyError('runtimeConfig')). Write one: make compile.\n",
    )  # fmt: skip


def test_a_query_is_asked_anew(cloud, venv, source, stand_ins, compiled, tmp_path):
    """Its result would be reused for as long as its text is the same."""
    cloud.storage.put(BUCKET, JOB, compiled["query"])
    with serving(venv, source, tmp_path / "log", stand_ins[2] | {"SPAN_MARKER": ""}) as function:
        assert function.scheduled().status_code == 200, function.last
    tasks = type(cloud.jobs[0]).to_dict(cloud.jobs[0])["pipeline_spec"]["root"]["dag"]["tasks"]
    assert [name for name in ("ExampleGen", "StatisticsGen", "Trainer") if "cachingOptions" in tasks[name]] == [
        "StatisticsGen", "Trainer",
    ]  # fmt: skip
