"""schedule and schedules, through the real client against the stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from vertex_service import Run

from pipeline.vertex.jobs import commands
from pipeline.vertex.stand_in.server import StandIn

_COMPILE = commands._compiled  # the fixture `run` puts another in its place
pytestmark = pytest.mark.usefixtures("stand_in")  # every test has a service of its own


def test_schedule_is_created_listed_paused_resumed_and_deleted(run: Run, stand_in: StandIn, compiled: Any) -> None:
    result = run("schedule", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin", "--max-concurrent", "2", files=True)
    assert result.exit_code == 0, result.output
    request = next(call.request for call in stand_in.calls if call.name == "CreateSchedule").schedule
    assert (request.cron, request.max_concurrent_run_count, request.catch_up) == ("TZ=Europe/Berlin 0 3 * * *", 2, False)
    assert request.create_pipeline_job_request.pipeline_job.labels["pipeline"] == "taxi"
    runtime = ["--runtime", str(compiled[0].runtime)]
    for action, shown in (
        ("list", "active"),
        ("pause", "paused"),
        ("list", "paused"),
        ("resume", "resumed"),
        ("delete", "deleted"),
    ):
        result = run("schedules", "taxi", *runtime, "--action", action)
        assert result.exit_code == 0, result.output
        assert result.output.strip().endswith(f"0 3 * * *, {shown}")
    assert run("schedules", "taxi", *runtime).exit_code == 2


def test_second_schedule_needs_replace(run: Run, stand_in: StandIn) -> None:
    run("schedule", "--cron", "0 3 * * *", files=True)
    refused = run("schedule", "--cron", "0 4 * * *", files=True)
    assert refused.exit_code == 2
    assert "taxi is scheduled already" in refused.output
    assert run("schedule", "--cron", "0 4 * * *", "--replace", files=True).exit_code == 0
    (left,) = stand_in.resources.list(stand_in.resources.location, "schedules")
    assert left.cron == "0 4 * * *"


@pytest.fixture(scope="module")
def of_other_data(compiled: Any) -> Callable[[str], Any]:
    """Compile taxi with another `data:` section."""

    def compile_it(data: str) -> Any:
        what = commands.What(compiled[0].config, compiled[0].runtime, [f"data={data}"])
        return _COMPILE(what)

    return compile_it


def scheduled_job(run: Run, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn, job: Any) -> tuple[Any, str]:
    """Return the tasks of the job that a schedule was created with, and what was said."""
    monkeypatch.setattr(commands, "_compiled", lambda _: job)
    result = run("schedule", "--cron", "0 3 * * *", files=True)
    assert result.exit_code == 0, result.output
    request = next(call.request for call in stand_in.calls if call.name == "CreateSchedule").schedule
    job = type(request).to_dict(request)["create_pipeline_job_request"]["pipeline_job"]
    return job["pipeline_spec"]["root"]["dag"]["tasks"], result.output


def test_scheduled_query_is_run_every_time(
    run: Run, stand_in: StandIn, of_other_data: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = of_other_data("{kind: bigquery, query: SELECT * FROM trips}")
    tasks, said = scheduled_job(run, monkeypatch, stand_in, job)
    cached = {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert "ExampleGen" in tasks
    assert "ExampleGen" not in cached
    assert {"StatisticsGen", "Transform", "Trainer"} <= cached
    assert "newest span" not in said


@pytest.mark.parametrize(("span", "told"), [("", True), (", span: 7", False)])
def test_schedule_says_that_the_newest_span_may_be_unfinished(
    run: Run, stand_in: StandIn, of_other_data: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, span: str, told: bool
) -> None:
    job = of_other_data("{path: 'gs://my-project-pipelines/data/span-{SPAN}/*.csv'" + span + "}")
    tasks, said = scheduled_job(run, monkeypatch, stand_in, job)
    assert tasks["ExampleGen"]["cachingOptions"]["enableCache"]  # the driver sees what changed
    assert ("Each job will read the newest span that it finds" in said) is told


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 3 * *", "expected 5 fields"),
        ("60 3 * * *", "'60' is no minute. Expected 0 to 59."),
        ("0 3 * * 9", "'9' is no day of week. Expected 0 to 7."),
        ("0 5-3 * * *", "the hour '5-3' begins after its end."),
        ("*/0 3 * * *", "the minute '*/0' has a step of 0."),
        ("0 3 ? * *", "'?' is no day of month."),
        ("0 3 * foo *", "'foo' is no month. Expected 1 to 12."),
    ],
)
def test_bad_cron_is_told_before_anything_is_compiled(run: Run, cron: str, said: str) -> None:
    result = run("schedule", "--cron", cron, files=True)
    assert result.exit_code == 2
    assert said in result.output


def test_named_days_steps_and_lists_are_fine() -> None:
    from pipeline.vertex.jobs.cron import cron_expression

    assert cron_expression("*/15 0,12 1-7 jan-mar mon", None) == "*/15 0,12 1-7 jan-mar mon"


def test_unknown_time_zone(run: Run) -> None:
    result = run("schedule", "--cron", "0 3 * * *", "--time-zone", "Berlin", files=True)
    assert result.exit_code == 2
    assert "--time-zone: 'Berlin' is none. Such as Europe/Berlin." in result.output
