"""submit, status and cancel, through the real client against the stand-in."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1
from vertex_service import JOBS_RUNTIME, Run, task_detail

from pipeline.vertex.jobs import commands
from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.server import StandIn

pytestmark = pytest.mark.usefixtures("stand_in")  # every test has a service of its own
State = aiplatform_v1.PipelineTaskDetail.State


def does(stand_in: StandIn, end: str, **tasks: Any) -> None:
    """Have pipeline jobs go through their tasks, {name: (state, error, outputs)}, to an end."""

    def work(job: Any) -> None:
        job.state = aiplatform_v1.PipelineState.PIPELINE_STATE_RUNNING
        details = [task_detail(name, *told) for name, told in tasks.items()]
        job.job_detail = aiplatform_v1.PipelineJobDetail(task_details=details)
        job.state = aiplatform_v1.PipelineState[f"PIPELINE_STATE_{end}"]

    stand_in.do("PipelineJob", work)


def blessing(value: int) -> dict[str, Any]:
    return {"blessing": {"metadata": {"blessed": value}}}


def submitted(stand_in: StandIn) -> Any:
    return next(call.request for call in stand_in.calls if call.name == "CreatePipelineJob")


def test_job_is_submitted_as_it_was_compiled(run: Run, stand_in: StandIn) -> None:
    result = run("submit", files=True)
    assert result.exit_code == 0, result.output
    request = submitted(stand_in)
    job = request.pipeline_job
    assert request.parent == "projects/my-project/locations/europe-west4"
    assert datetime.strptime(request.pipeline_job_id, "taxi-%Y%m%d%H%M%S")
    assert job.service_account == JOBS_RUNTIME["service_account"]
    assert job.encryption_spec.kms_key_name == JOBS_RUNTIME["encryption_key"]
    assert job.psc_interface_config.network_attachment == JOBS_RUNTIME["network"]["psc_attachment"]
    assert job.runtime_config.failure_policy.name == "PIPELINE_FAILURE_POLICY_FAIL_FAST"
    assert job.labels["team"] == "taxi"
    assert set(job.labels) == {"team", "pipeline", "code", "config"}
    assert "Trainer" in job.pipeline_spec["root"]["dag"]["tasks"]
    assert "https://console.cloud.google.com/vertex-ai/locations/europe-west4/pipelines/runs/taxi-" in result.output


def test_dry_run_shows_what_a_submission_sends_and_sends_nothing(run: Run, stand_in: StandIn) -> None:
    dry = run("submit", "--dry-run", files=True)
    assert dry.exit_code == 0
    assert stand_in.calls == []
    shown = json.loads(dry.stdout[: dry.stdout.rindex("}") + 1])["pipelineJob"]
    run("submit", files=True)
    expected = aiplatform_v1.PipelineJob.from_json(json.dumps(shown))
    sent = submitted(stand_in).pipeline_job
    assert sent.pipeline_spec == expected.pipeline_spec
    assert (sent.labels, sent.runtime_config) == (expected.labels, expected.runtime_config)
    assert "Nothing was sent." in dry.output


def test_no_cache_runs_every_task(run: Run, stand_in: StandIn) -> None:
    run("submit", "--no-cache", files=True)
    tasks = submitted(stand_in).pipeline_job.pipeline_spec["root"]["dag"]["tasks"]
    assert not any("cachingOptions" in task for task in tasks.values())


def test_waiting_shows_stages_and_ends_well(run: Run, stand_in: StandIn) -> None:
    does(stand_in, "SUCCEEDED", ExampleGen=(State.SKIPPED, "", {}), ModelGate=(State.SUCCEEDED, "", blessing(1)))
    result = run("submit", "--wait", files=True)
    assert result.exit_code == 0, result.output
    assert "ExampleGen           reused" in result.output
    assert "ModelGate            ran" in result.output


def test_failed_stage_is_named_with_its_error_and_log(run: Run, stand_in: StandIn) -> None:
    does(stand_in, "FAILED", Trainer=(State.FAILED, "The replica workerpool0-0 ran out of memory.", {}))
    result = run("submit", "--wait", files=True)
    assert result.exit_code == 1
    assert "Stage Trainer failed: The replica workerpool0-0 ran out of memory.\nLog: https://console.cloud.google.com/logs" in (
        result.output
    )


def test_model_that_is_not_blessed_is_exit_code_3(run: Run, stand_in: StandIn) -> None:
    does(stand_in, "SUCCEEDED", ModelGate=(State.SUCCEEDED, "", blessing(0)), Compressor=(State.SUCCEEDED, "", blessing(1)))
    result = run("submit", "--wait", files=True)
    assert result.exit_code == 3
    assert "Stage ModelGate has not blessed the model: a gate was not passed." in result.output
    assert "Compressor has not" not in result.output


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RefusedError(403, "Permission 'aiplatform.pipelineJobs.create' denied."), "--role=roles/aiplatform.user"),
        (RefusedError(404, "Project my-project was not found."), "Check the name, the project and the region."),
        (RefusedError(401, "Request had invalid authentication credentials."), "gcloud auth application-default login"),
        (RefusedError(400, "The image does not exist."), "Cannot submit the job: The image does not exist."),
    ],
)
def test_refusal_is_a_sentence_with_a_cure(run: Run, stand_in: StandIn, error: RefusedError, said: str) -> None:
    stand_in.refuse("CreatePipelineJob", error)
    result = run("submit", files=True)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_passes_is_tried_again(run: Run, stand_in: StandIn, code: int) -> None:
    stand_in.refuse("CreatePipelineJob", RefusedError(code, "Try again."), times=2)
    assert run("submit", files=True).exit_code == 0


def test_quota_that_does_not_come_back_is_named_with_its_page(run: Run, stand_in: StandIn) -> None:
    stand_in.refuse("CreatePipelineJob", RefusedError(429, "Quota exceeded: custom_model_training_cpus."), times=1000)
    result = run("submit", files=True)
    assert result.exit_code == 1
    assert "Quota exceeded: custom_model_training_cpus." in result.output
    assert "https://console.cloud.google.com/iam-admin/quotas?project=my-project" in result.output


def test_answer_that_was_lost_makes_no_second_job(run: Run, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "job_id", lambda *_: "taxi-1")
    call = stand_in._call
    lost = iter([True])

    def lose(route: Any, *asked: Any) -> Any:
        answer = call(route, *asked)
        if route.name == "CreatePipelineJob" and next(lost, False):
            raise RefusedError(503, "The connection was lost.")
        return answer

    monkeypatch.setattr(stand_in, "_call", lose)
    result = run("submit", files=True)
    assert result.exit_code == 0, result.output
    assert len(stand_in.resources.list(stand_in.resources.location, "pipelineJobs")) == 1


def test_id_that_exists_is_refused(run: Run, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "job_id", lambda *_: "taxi-1")
    assert run("submit", files=True).exit_code == 0
    again = run("submit", files=True)
    assert again.exit_code == 1
    assert "pipelineJobs/taxi-1 already exists." in again.output


def test_unreachable_service_is_said_soon(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIPLATFORM_ENDPOINT", "http://127.0.0.1:1")
    result = run("submit", files=True)
    assert result.exit_code == 1
    assert "Vertex AI cannot be reached" in result.output or "Connection refused" in result.output


def test_missing_credentials_name_the_login(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIPLATFORM_ENDPOINT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    result = run("submit", files=True)
    assert result.exit_code == 1
    assert "there are no Google credentials" in result.output
    assert "gcloud auth application-default login" in result.output


def test_status_of_a_job_by_id_name_and_page(run: Run, stand_in: StandIn, compiled: Any) -> None:
    does(stand_in, "SUCCEEDED", ModelGate=(State.SUCCEEDED, "", blessing(1)))
    run("submit", files=True)
    (job,) = stand_in.resources.list(stand_in.resources.location, "pipelineJobs")
    identity = job.name.rpartition("/")[2]
    page = f"https://console.cloud.google.com/vertex-ai/locations/europe-west4/pipelines/runs/{identity}?project=my-project"
    for given in ([identity, "--runtime", str(compiled[0].runtime)], [job.name], [page]):
        result = run("status", *given)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"{identity}: succeeded")


def test_status_of_an_id_alone_asks_for_the_runtime(run: Run) -> None:
    result = run("status", "taxi-1")
    assert result.exit_code == 2
    assert "--runtime is needed to find 'taxi-1'" in result.output


def test_status_of_no_job(run: Run, stand_in: StandIn) -> None:
    result = run("status", "projects/my-project/locations/europe-west4/pipelineJobs/taxi-9")
    assert result.exit_code == 1
    assert "taxi-9 is not found. Check the name, the project and the region." in result.output


def test_cancelled_job_is_exit_code_130(run: Run, stand_in: StandIn) -> None:
    run("submit", files=True)
    (job,) = stand_in.resources.list(stand_in.resources.location, "pipelineJobs")
    assert run("cancel", job.name).exit_code == 0
    assert run("status", job.name).exit_code == 130
