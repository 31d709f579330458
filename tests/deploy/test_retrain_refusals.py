"""What the retrain function does about mistakes and refusals: tell of them once, or have the event come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from retrain_cloud import JOB, REPORT, complete, drift
from retrain_service import BUCKET, DATA, serving, slot

from pipeline.vertex.stand_in.faults import RefusedError


def test_a_report_without_drift_starts_nothing(cloud, function):
    assert drift(cloud, function, REPORT | {"drifted": False}) == 200
    assert function.last == ("DEBUG", "Nothing to train for.")


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (b"{", "is no report of drift (JSONDecodeError: "),
        ({"pipeline": "taxi"}, "is no report of drift (KeyError: 'schema_version')."),
        ([1], "is no report of drift (TypeError: "),
        (REPORT | {"schema_version": 2}, "has schema_version 2, expected 1."),
        (REPORT | {"pipeline": "sales"}, "is about the pipeline 'sales', expected 'taxi'."),
    ],
)
def test_a_report_that_makes_no_sense_is_told_once(report, sentence, cloud, function):
    assert drift(cloud, function, report) == 200
    severity, message = function.last
    assert severity == "ERROR"
    assert f"gs://{BUCKET}/taxi/drift/2026-11-26.json {sentence}" in message
    assert cloud.jobs == []


def test_a_report_that_has_gone_is_told_once(cloud, function):
    assert function.finalized(BUCKET, "taxi/drift/1.json", 1).status_code == 200
    place = f"gs://{BUCKET}/taxi/drift/1.json"
    assert function.last == ("ERROR", f"{place} has gone, or was written anew, before it was read.")


@pytest.mark.parametrize("call", ["ListPipelineJobs", "CreatePipelineJob"])
@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_may_pass_brings_the_event_back(code, call, cloud, function):
    cloud.vertex.refuse(call, RefusedError(code, "Not now."))
    assert function.scheduled(slot()).status_code == 503
    severity, message = function.last
    assert severity == "WARNING"
    assert message.endswith(f": {code}, Not now.")
    assert cloud.jobs == []
    assert function.scheduled().status_code == 200
    assert len(cloud.jobs) == 1


def test_a_service_that_is_not_reached_brings_the_event_back(cloud, venv, source, stand_ins, tmp_path):
    nowhere = stand_ins[2] | {"AIPLATFORM_ENDPOINT": "http://127.0.0.1:1"}
    with serving(venv, source, tmp_path / "log", nowhere) as function:
        assert function.scheduled(slot()).status_code == 503
        severity, message = function.last
    assert severity == "WARNING"
    assert message.startswith("Cannot list the jobs: ")


@pytest.mark.parametrize(("minutes", "severity"), [(16, "WARNING"), (24, "ERROR")])
def test_a_schedule_that_is_about_to_be_given_up_is_an_error(minutes, severity, cloud, function):
    cloud.vertex.refuse("ListPipelineJobs", RefusedError(503, "Not now."))
    assert function.scheduled(slot(minutes)).status_code == 503
    late = " It will not be delivered much longer: docs/continuous_training.md." if severity == "ERROR" else ""
    assert function.last == (severity, f"Cannot list the jobs: 503, Not now.{late}")


def test_what_nobody_foresaw_brings_the_event_back_and_is_an_error(cloud, function, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(cloud.storage, "answer", lambda *_: (200, b"no JSON"))
        assert complete(cloud, function) == 503
    severity, message = function.last
    assert severity == "ERROR"
    assert message.startswith("Unexpected: JSONDecodeError(")
    assert "Traceback" in function.log()[-1]["trace"]
    assert complete(cloud, function) == 200
    assert len(cloud.jobs) == 1


NEWS: dict[str, Callable[..., int]] = {
    "span": complete,
    "drift": lambda cloud, function: drift(cloud, function, REPORT),
    "schedule": lambda cloud, function: function.scheduled(slot()).status_code,
}


@pytest.mark.parametrize("cause", NEWS)
def test_a_missing_right_names_the_cure_and_once_it_is_granted_the_job_starts(cause, cloud, function):
    cloud.vertex.refuse("CreatePipelineJob", RefusedError(403, "Permission 'aiplatform.pipelineJobs.create' denied."))
    assert NEWS[cause](cloud, function) == 503
    severity, message = function.last
    assert severity == "ERROR"
    assert re.sub(r"[0-9a-f]{16}", "ID", message) == (
        f"Cannot submit taxi-{cause}-ID: 403, Permission 'aiplatform.pipelineJobs.create' denied. Grant the function's account "
        "what deploy/terraform grants it. Until then the event comes back, as long as docs/continuous_training.md says."
    )
    assert cloud.jobs == []
    assert NEWS[cause](cloud, function) == 200
    assert [job.labels["cause"] for job in cloud.jobs] == [cause]


@pytest.mark.parametrize(
    ("code", "message", "cure"),
    [(400, "Invalid machine.", ""), (404, "No such project.", " Check project, region, bucket and name.")],
)
def test_a_job_that_vertex_refuses_is_told_once(code, message, cure, cloud, function):
    cloud.vertex.refuse("CreatePipelineJob", RefusedError(code, message))
    assert function.scheduled().status_code == 200
    severity, told = function.last
    assert severity == "ERROR"
    assert told.endswith(f": {code}, {message}{cure}")


def of_another(**changes: Any) -> Any:
    return lambda content: json.dumps(json.loads(content) | changes).encode()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (None, f"gs://{BUCKET}/{JOB} is not there: publish it by make publish-job, or run the release."),
        (lambda content: content[:1000], f"gs://{BUCKET}/{JOB} is no compiled job (JSONDecodeError: "),
        (lambda content: b"[]", f"gs://{BUCKET}/{JOB} is no compiled job (TypeError: "),
        (of_another(pipelineSpec={"root": {"dag": {"tasks": {}}}}), f"gs://{BUCKET}/{JOB} is no compiled job (KeyError: "),
        (of_another(labels={"pipeline": "sales"}), f"{JOB} is a job of the pipeline 'sales', expected 'taxi'."),
        (
            of_another(runtimeConfig={"gcsOutputDirectory": "gs://dev/taxi"}),
            f"{JOB} works in gs://dev/taxi, expected gs://{BUCKET}/: it is of another environment.",
        ),
    ],
)
def test_without_a_fitting_job_file_the_event_is_told_once(damage, sentence, cloud, function, compiled):
    del cloud.storage.objects[BUCKET, JOB]
    if damage:
        cloud.storage.put(BUCKET, JOB, damage(compiled["newest"]))
    assert function.scheduled().status_code == 200
    severity, message = function.last
    assert severity == "ERROR"
    assert sentence in message
    assert cloud.jobs == []


def test_a_job_of_one_fixed_span_is_refused(cloud, function, compiled):
    cloud.storage.put(BUCKET, JOB, compiled["seven"])
    assert complete(cloud, function) == 200
    assert function.last[1].endswith("has been compiled with data.span: it reads that span, no other. Publish it without.")


def test_events_of_other_kinds_and_schedules_of_somebody_else_are_told(cloud, function):
    assert function.send("google.cloud.storage.object.v1.deleted", {}).status_code == 200
    assert function.last[1].startswith("An event of the type 'google.cloud.storage.object.v1.deleted'. Expected ")
    assert function.send("pipeline.retrain.schedule", {}).status_code == 200
    assert function.last[1].startswith("A scheduled run without X-CloudScheduler-ScheduleTime")
    assert function.send("google.cloud.storage.object.v1.finalized", {"bucket": DATA}).status_code == 200
    assert function.last == ("ERROR", "The event names no object: KeyError('name') is missing.")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MIN_HOURS_BETWEEN": "30"}, "MIN_HOURS_BETWEEN is '30'. Expected 0 to 20: an event is delivered for 24 hours only."),
        ({"BUCKET": "", "REGION": ""}, "The environment lacks REGION, BUCKET. Terraform sets it: deploy/terraform."),
        (
            {"SPAN_MARKER": "a/{SPAN}/v{VERSION}/x"},
            "SPAN_MARKER is 'a/{SPAN}/v{VERSION}/x'. Expected {SPAN}, {SPAN:<digits>}, ",
        ),
        ({"PIPELINE": "Taxi"}, "PIPELINE is 'Taxi'. Expected the `name` of a config: a-z, 0-9 and dashes."),
    ],
)
def test_settings_that_make_no_sense_are_told(changes, sentence, venv, source, stand_ins, tmp_path):
    with serving(venv, source, tmp_path / "log", stand_ins[2] | changes) as function:
        assert function.scheduled().status_code == 200
        assert function.last[0] == "ERROR"
        assert function.last[1].startswith(sentence)
