"""Stages that run as custom jobs: created through the real client, waited for, found again, cancelled."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest
from google.api_core import exceptions
from vertex_service import LOCATION, custom_job

from pipeline.vertex import launch, launching
from pipeline.vertex.launching import Jobs, Kind, with_command
from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.server import StandIn

# `python -m timeit` runs a line of Python, as a module of the project would be run.
_LINE = ["python", "-m", "timeit", "-n1", "-r1"]
_TELL = "import os; open('{}', 'a').write(os.environ.get('TF_CONFIG', 'alone') + '\\n')"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(launching, "_LONGEST_WAIT_SECONDS", 0.2)


def launched(request: dict, command: list[str]) -> int:
    return launch.main(["--location", LOCATION, "--request", json.dumps(request), "--", *command])


def test_job_runs_the_command_and_the_task_ends_well(stand_in: StandIn, tmp_path: Path) -> None:
    told = tmp_path / "told"
    assert launched(custom_job(), [*_LINE, _TELL.format(told)]) == 0
    assert told.read_text() == "alone\n"
    job = next(call.request.custom_job for call in stand_in.calls if call.name == "CreateCustomJob")
    assert list(job.job_spec.worker_pool_specs[0].container_spec.command) == ["python", "-m", "timeit"]


def test_several_machines_are_told_of_each_other(stand_in: StandIn, tmp_path: Path) -> None:
    told = tmp_path / "told"
    assert launched(custom_job(replicas=3), [*_LINE, _TELL.format(told)]) == 0
    configs = [json.loads(line) for line in told.read_text().splitlines()]
    assert sorted((c["task"]["type"], c["task"]["index"]) for c in configs) == [("chief", 0), ("worker", 0), ("worker", 1)]
    assert {len(c["cluster"]["worker"]) for c in configs} == {2}


def test_failed_replica_fails_the_task_with_its_name_and_the_log(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert launched(custom_job(replicas=2), [*_LINE, "import sys; sys.exit(1)"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    why = "The replica chief-0 failed: it exited with a non-zero status of 1."
    assert said.startswith(f"The job taxi-trainer ended as failed: {why} Its log: https")
    assert "resource.labels.job_id" in said


def test_task_that_is_tried_again_goes_on_with_its_job(stand_in: StandIn) -> None:
    request = with_command(custom_job(), [*_LINE, "pass"])
    first, second = (Jobs(LOCATION).start(Kind.CUSTOM, request) for _ in range(2))
    assert first.name == second.name
    other = Jobs(LOCATION).start(Kind.CUSTOM, with_command(custom_job(), [*_LINE, "0"]))
    assert other.name != first.name


def test_job_that_failed_is_no_job_to_go_on_with(stand_in: StandIn) -> None:
    request = with_command(custom_job(), [*_LINE, "import sys; sys.exit(1)"])
    jobs = Jobs(LOCATION)
    failed = jobs.wait(jobs.start(Kind.CUSTOM, request))
    assert failed.state.name == "JOB_STATE_FAILED"
    assert jobs.start(Kind.CUSTOM, request).name != failed.name


def test_interrupted_task_cancels_its_job(stand_in: StandIn) -> None:
    request = with_command(custom_job(), [*_LINE, "import time; time.sleep(1)"])
    jobs = Jobs(LOCATION)
    name = jobs.start(Kind.CUSTOM, request).name

    def interrupted() -> None:
        with jobs.cancelling():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stand_in.resources.get(name).state.name == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RefusedError(403, "Permission 'aiplatform.customJobs.create' denied."),
            "Permission 'aiplatform.customJobs.create' denied.",
        ),
        (RefusedError(429, "Quota exceeded: custom_model_training_nvidia_t4_gpus."), "custom_model_training_nvidia_t4_gpus"),
    ],
)
def test_refusal_is_one_sentence(stand_in: StandIn, capsys: pytest.CaptureFixture[str], error: RefusedError, said: str) -> None:
    stand_in.refuse("CreateCustomJob", error)
    assert launched(custom_job(), [*_LINE, "pass"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("The custom job cannot be run: ")
    assert said in last


def test_busy_service_does_not_disturb_the_wait(stand_in: StandIn) -> None:
    jobs = Jobs(LOCATION)
    job = jobs.start(Kind.CUSTOM, with_command(custom_job(), [*_LINE, "import time; time.sleep(0.5)"]))
    stand_in.refuse("GetCustomJob", RefusedError(503, "Busy."), times=2)
    stand_in.refuse("GetCustomJob", RefusedError(429, "Too many."), times=1)
    assert jobs.wait(job).state.name == "JOB_STATE_SUCCEEDED"


def test_field_that_the_api_does_not_know_is_refused(stand_in: StandIn) -> None:
    import requests

    answer = requests.post(
        f"{stand_in.endpoint}/v1/{LOCATION}/customJobs", json={"displayName": "x", "machines": 3}, timeout=10
    )
    assert answer.status_code == 400
    assert 'has no field named "machines"' in answer.json()["error"]["message"]


def test_job_without_what_is_required_is_refused(stand_in: StandIn) -> None:
    with pytest.raises(exceptions.BadRequest, match=r"custom_job\.job_spec is required"):
        Jobs(LOCATION).start(Kind.CUSTOM, {"displayName": "x", "jobSpec": {"workerPoolSpecs": []}, "labels": {"task": "1"}})


def test_other_project_is_somebody_elses(stand_in: StandIn) -> None:
    with pytest.raises(exceptions.Forbidden, match=r"aiplatform\.resources\.use"):
        Jobs("projects/other-project/locations/europe-west4").start(Kind.CUSTOM, with_command(custom_job(), [*_LINE, "pass"]))


def test_sigterm_ends_the_task_and_its_job(stand_in: StandIn) -> None:
    import os
    import signal
    import subprocess

    request = json.dumps(custom_job())
    command = [sys.executable, "-m", "pipeline.vertex.launch", "--location", LOCATION, "--request", request, "--"]
    process = subprocess.Popen([*command, *_LINE, "import time; time.sleep(20)"], env=os.environ)
    threading.Thread(target=process.wait, daemon=True).start()
    deadline = time.monotonic() + 60
    while not any(call.name == "GetCustomJob" for call in stand_in.calls) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert [call.name for call in stand_in.calls][-1] == "CancelCustomJob"
