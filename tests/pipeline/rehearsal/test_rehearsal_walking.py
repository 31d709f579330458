"""Small jobs, walked as the service would, their tasks real processes."""

from __future__ import annotations

import json
import re
import signal
import threading
from pathlib import Path

import pytest
from small_jobs import FAIL, LEAVE, NUMBER, job, part, walk

from pipeline.vertex.rehearsal.errors import RefusedError

FAST = {"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST"}
INTEGER = {"value": {"parameterType": "NUMBER_INTEGER"}}


def given(task: str, key: str) -> dict:
    return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}


def test_outputs_go_where_the_service_would_put_them_below_the_folder_in_place_of_the_bucket(tmp_path: Path) -> None:
    seen = walk(job(make=part(LEAVE, parameters={"value": "seven"})), tmp_path)
    uri = seen.results["make"].outputs.artifacts["number"][0].uri
    folder = f"{tmp_path}/bucket/small/artifacts/123456789012/small-"
    assert re.fullmatch(re.escape(folder) + r"\d{14}/make_-?\d+/number", uri)
    assert seen.text("make") == "seven"
    assert seen.state == "ran"


def test_integers_reach_a_task_as_floats(tmp_path: Path) -> None:
    program = LEAVE + "assert type(values['value']) is float, values"
    seen = walk(job(make=part(program, parameters={"value": 3}, types=INTEGER)), tmp_path)
    assert seen.text("make") == "3.0"


def test_what_a_task_gives_by_value_reaches_the_next_with_its_type(tmp_path: Path) -> None:
    give = "open(told['outputs']['parameters']['count']['outputFile'], 'w').write('42')"
    raw = job(
        count=part(give, outputs={}, gives={"count": {"parameterType": "NUMBER_INTEGER"}}),
        make=part(LEAVE, parameters={"value": given("count", "count")}, types=INTEGER),
    )
    seen = walk(raw, tmp_path)
    assert seen.results["count"].outputs.parameters == {"count": 42}
    assert seen.text("make") == "42.0"


def test_value_that_no_task_left_fails_the_one_that_needs_it(tmp_path: Path) -> None:
    raw = job(
        count=part("", outputs={}, gives={"count": {"parameterType": "NUMBER_INTEGER"}}),
        make=part(LEAVE, parameters={"value": given("count", "count")}, types=INTEGER),
    )
    seen = walk(raw, tmp_path)
    assert seen.results["make"].error == "The parameter 'value' is the output 'count' of count, which left none."


def test_runtime_parameters_have_their_defaults_and_what_is_given(tmp_path: Path) -> None:
    raw = job(settings={"parameterValues": {"given": "g"}}, make=part(LEAVE, parameters={"value": {}}))
    definitions = {"given": {"parameterType": "STRING"}, "usual": {"parameterType": "STRING", "defaultValue": "u"}}
    raw["pipelineSpec"]["root"]["inputDefinitions"] = {"parameters": definitions}
    for name, expected in (("given", "g"), ("usual", "u")):
        inputs = raw["pipelineSpec"]["root"]["dag"]["tasks"]["make"]["inputs"]
        inputs["parameters"]["value"] = {"componentInputParameter": name}
        assert walk(raw, tmp_path / name).text("make") == expected


def test_tasks_get_the_environment_of_their_container_and_what_vertex_sets(tmp_path: Path) -> None:
    raw = job(make=part("values['value'] = [os.environ[k] for k in ('MINE', 'CLOUD_ML_PROJECT_ID', 'EXTRA')]" + LEAVE))
    raw["pipelineSpec"]["deploymentSpec"]["executors"]["make_executor"]["container"]["env"] = [{"name": "MINE", "value": "1"}]
    assert walk(raw, tmp_path, EXTRA="2").text("make") == "['1', '123456789012', '2']"


def test_no_task_can_reach_the_real_api(tmp_path: Path) -> None:
    raw = job(make=part("values['value'] = os.environ['AIPLATFORM_ENDPOINT']" + LEAVE))
    assert walk(raw, tmp_path / "a").text("make") == "http://127.0.0.1:9"
    assert walk(raw, tmp_path / "b", AIPLATFORM_ENDPOINT="http://127.0.0.1:1234").text("make") == "http://127.0.0.1:1234"


def test_failure_names_the_last_words_of_the_task_and_nothing_after_it_runs(tmp_path: Path) -> None:
    seen = walk(job(make=part(FAIL), use=part(LEAVE, artifacts={"number": "make"})), tmp_path)
    assert seen.state == "failed"
    assert seen.results["make"].error == "exit code 1: it broke"
    assert seen.states == {"make": "failed", "use": "not_reached"}
    assert "it broke" in (tmp_path / "logs" / "make.txt").read_text()


def test_crash_is_told_as_such(tmp_path: Path) -> None:
    seen = walk(job(make=part("import signal; os.kill(os.getpid(), signal.SIGSEGV)")), tmp_path)
    assert "crashed (SIGSEGV)" in (seen.results["make"].error or "")


def test_retry_that_succeeds_saves_the_run_and_the_shortened_wait_is_told(tmp_path: Path) -> None:
    flaky = f"mark = '{tmp_path}/mark'\nif not os.path.exists(mark): open(mark, 'w'); sys.exit('not yet')\n"
    seen = walk(job(make=part(flaky + LEAVE, retries=1)), tmp_path)
    assert seen.states == {"make": "ran"}
    assert seen.results["make"].tries == 2
    assert seen.said == [
        "make failed, and is tried again (1 of 1) after 1 s; the service would wait 60 s. exit code 1: not yet"
    ]


def test_retries_come_to_an_end(tmp_path: Path) -> None:
    count = f"open('{tmp_path}/tries', 'a').write('x')\n"
    seen = walk(job(make=part(count + FAIL, retries=1)), tmp_path)
    assert seen.states == {"make": "failed"}
    assert (tmp_path / "tries").read_text() == "xx"


@pytest.mark.parametrize(("bound", "expected"), [("== 3", "ran"), ("> 3", "skipped")])
def test_condition_decides_over_a_task_and_what_comes_after_it(tmp_path: Path, bound: str, expected: str) -> None:
    condition = f"inputs.artifacts['number'].artifacts[0].metadata['value'] {bound}"
    raw = job(
        make=part(LEAVE, parameters={"value": 3}, types=INTEGER),
        use=part(LEAVE, artifacts={"number": "make"}, condition=condition),
        later=part(LEAVE, artifacts={"number": "use"}),
    )
    seen = walk(raw, tmp_path)
    assert seen.states == {"make": "ran", "use": expected, "later": expected}
    assert seen.state == "ran"


def test_condition_on_what_is_not_there_is_a_failure(tmp_path: Path) -> None:
    condition = "inputs.artifacts['number'].artifacts[0].metadata['blessed'] == 1"
    seen = walk(job(make=part(LEAVE), use=part(LEAVE, artifacts={"number": "make"}, condition=condition)), tmp_path)
    assert seen.states == {"make": "ran", "use": "failed"}
    assert seen.results["use"].error == f"The condition {condition} has no answer: there is no 'blessed', only value."


def test_second_rehearsal_reuses_what_did_not_change(tmp_path: Path) -> None:
    def parts(value: str) -> dict:
        return {
            "make": part(LEAVE, parameters={"value": value}, cached=True),
            "use": part(LEAVE, artifacts={"number": "make"}, cached=True),
            "always": part(LEAVE),
        }

    first = walk(job(**parts("a")), tmp_path)
    assert set(first.states.values()) == {"ran"}
    again = walk(job(**parts("a")), tmp_path)
    assert again.states == {"make": "reused", "use": "reused", "always": "ran"}
    assert again.results["make"].outputs == first.results["make"].outputs
    assert set(walk(job(**parts("b")), tmp_path).states.values()) == {"ran"}
    assert set(walk(job(**parts("a")), tmp_path, fresh=True).states.values()) == {"ran"}


def test_machines_do_not_decide_over_reuse_but_images_do(tmp_path: Path) -> None:
    raw = job(make=part(LEAVE, cached=True))
    container = raw["pipelineSpec"]["deploymentSpec"]["executors"]["make_executor"]["container"]
    walk(raw, tmp_path)
    container["resources"] = {"cpuLimit": 8.0}
    assert walk(raw, tmp_path).states == {"make": "reused"}
    container["image"] = "i@sha256:1"
    assert walk(raw, tmp_path).states == {"make": "ran"}


def test_output_that_somebody_removed_is_not_reused(tmp_path: Path) -> None:
    raw = job(make=part(LEAVE, cached=True))
    Path(walk(raw, tmp_path).results["make"].outputs.artifacts["number"][0].uri).unlink()
    assert walk(raw, tmp_path).states == {"make": "ran"}


def test_driver_decides_over_reuse_and_its_findings_reach_the_executor(tmp_path: Path) -> None:
    raw = job(make=part(LEAVE, parameters={"value": "as given"}, cached=True))
    finding = tmp_path / "finding"
    program = (
        "import json, sys; told = json.loads(sys.argv[1]); "
        f"found = {{'parameterValues': {{'value': open('{finding}').read()}}}}; "
        "open(told['outputs']['outputFile'], 'w').write(json.dumps(found))"
    )
    container = raw["pipelineSpec"]["deploymentSpec"]["executors"]["make_executor"]["container"]
    container["lifecycle"] = {"preCacheCheck": {"command": ["python", "-c", program], "args": ["{{$}}"]}}
    finding.write_text("span 1")
    assert walk(raw, tmp_path / "root").text("make") == "span 1"
    assert walk(raw, tmp_path / "root").states == {"make": "reused"}
    finding.write_text("span 2")
    assert walk(raw, tmp_path / "root").text("make") == "span 2"


def with_exit_handler(raw: dict, program: str) -> dict:
    """Put all tasks into a group, and after it, whatever becomes of it, one that is told its final status."""
    handler = job(handle=part(program, parameters={"value": {"taskFinalStatus": {"producerTask": "tfx-dag"}}}, always=True))
    spec, extra = raw["pipelineSpec"], handler["pipelineSpec"]
    spec["components"] |= {"tfx-dag": {"dag": spec["root"]["dag"]}, **extra["components"]}
    spec["deploymentSpec"]["executors"] |= extra["deploymentSpec"]["executors"]
    handle = extra["root"]["dag"]["tasks"]["handle"] | {"dependentTasks": ["tfx-dag"]}
    spec["root"] = {"dag": {"tasks": {"tfx-dag": {"componentRef": {"name": "tfx-dag"}}, "handle": handle}}}
    return raw


@pytest.mark.parametrize("settings", [{}, FAST])
def test_exit_handler_runs_after_a_failure_and_is_told_of_it(tmp_path: Path, settings: dict) -> None:
    seen = walk(with_exit_handler(job(settings=settings, make=part(FAIL)), LEAVE), tmp_path)
    assert seen.states == {"make": "failed", "handle": "ran"}
    assert seen.state == "failed"
    status = json.loads(seen.text("handle"))
    assert (status["state"], status["pipelineTaskName"]) == ("FAILED", "tfx-dag")
    assert status["error"]["message"] == "The task make failed: exit code 1: it broke"
    assert status["pipelineJobResourceName"].startswith("projects/123456789012/locations/us-central1/pipelineJobs/small-")


def test_exit_handler_is_told_of_success_too(tmp_path: Path) -> None:
    seen = walk(with_exit_handler(job(make=part(LEAVE)), LEAVE), tmp_path)
    assert seen.state == "ran"
    status = json.loads(seen.text("handle"))
    assert (status["state"], status["error"]) == ("SUCCEEDED", {})


@pytest.mark.parametrize(("settings", "expected"), [(FAST, "not_reached"), ({}, "ran")])
def test_failure_policy_decides_over_what_does_not_need_the_failed_task(tmp_path: Path, settings: dict, expected: str) -> None:
    raw = job(
        settings=settings,
        breaks=part(FAIL),
        beside=part("import time; time.sleep(1)" + LEAVE),
        later=part(LEAVE, artifacts={"number": "beside"}),
    )
    seen = walk(raw, tmp_path)
    assert seen.states == {"breaks": "failed", "beside": "ran", "later": expected}


def test_tasks_that_need_nothing_of_one_another_run_side_by_side(tmp_path: Path) -> None:
    meet = (
        "import time; end = time.monotonic() + 20; open(os.environ['PLACE'] + '/' + {mine!r}, 'w')\n"
        "while not os.path.exists(os.environ['PLACE'] + '/' + {other!r}): time.sleep(0.05); assert time.monotonic() < end\n"
    )
    raw = job(
        one=part(meet.format(mine="one", other="two"), outputs={}), two=part(meet.format(mine="two", other="one"), outputs={})
    )
    assert set(walk(raw, tmp_path / "root", PLACE=str(tmp_path)).states.values()) == {"ran"}


def test_as_many_tasks_run_as_are_allowed_to(tmp_path: Path) -> None:
    # A folder is made once.
    alone = "import time; place = os.environ['PLACE'] + '/alone'; os.mkdir(place); time.sleep(0.3); os.rmdir(place)\n"
    raw = job(**{f"t{number}": part(alone, outputs={}) for number in range(3)})
    assert set(walk(raw, tmp_path / "root", jobs=1, PLACE=str(tmp_path)).states.values()) == {"ran"}


def imported(uri: str, reimport: bool) -> dict:
    executor = {"importer": {"artifactUri": {"constant": uri}, "typeSchema": NUMBER["artifactType"], "reimport": reimport}}
    return job(bring=part("", executor=executor), use=part(LEAVE, artifacts={"number": "bring"}, cached=True))


def test_importer_takes_the_artifact_it_imported_before_unless_it_is_to_import_again(tmp_path: Path) -> None:
    uri = "gs://a-bucket/models/7"
    first = walk(imported(uri, reimport=False), tmp_path)
    artifact = first.results["bring"].outputs.artifacts["number"][0]
    assert artifact.uri == f"{tmp_path}/bucket/models/7"
    again = walk(imported(uri, reimport=False), tmp_path)
    assert again.results["bring"].outputs.artifacts["number"][0].name == artifact.name
    assert again.states["use"] == "reused"
    anew = walk(imported(uri, reimport=True), tmp_path)
    assert anew.results["bring"].outputs.artifacts["number"][0].name != artifact.name
    assert anew.states["use"] == "ran"


def test_resolver_finds_the_newest_of_earlier_rehearsals_and_nothing_at_first(tmp_path: Path) -> None:
    query = {"filter": 'schema_title="test.Number" AND state=LIVE AND metadata.value.number_value=1', "limit": 1}
    find = part("", executor={"resolver": {"outputArtifactQueries": {"number": query}}})

    def walked(value: int):
        make = part(LEAVE, parameters={"value": value}, types=INTEGER, after=["find"])
        return walk(job(find=find, make=make), tmp_path)

    assert walked(1).results["find"].outputs.artifacts["number"] == ()
    second = walked(1)
    third = walked(2)
    found = walked(1).results["find"].outputs.artifacts["number"]
    assert [artifact.name for artifact in found] == [second.results["make"].outputs.artifacts["number"][0].name]
    assert third.states == {"find": "ran", "make": "ran"}


def test_task_without_the_artifact_a_resolver_looked_for_is_told_of_none(tmp_path: Path) -> None:
    find = part("", executor={"resolver": {"outputArtifactQueries": {"number": {"filter": "state=LIVE AND name=x"}}}})
    count = "values['value'] = len(told['inputs']['artifacts']['number'].get('artifacts', []))"
    seen = walk(job(find=find, use=part(count + LEAVE, artifacts={"number": "find"})), tmp_path)
    assert seen.text("use") == "0"


def test_what_a_task_writes_wrongly_is_told(tmp_path: Path) -> None:
    seen = walk(job(make=part("open(told['outputs']['outputFile'], 'w').write('no json')")), tmp_path)
    assert "executor_output.json is no JSON" in (seen.results["make"].error or "")
    other = "open(told['outputs']['outputFile'], 'w').write(json.dumps({'artifacts': {'other': {}}}))"
    seen = walk(job(make=part(other)), tmp_path)
    assert seen.results["make"].error == "The task left an artifact 'other'; its outputs are: number."


def test_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    raw = job(make=part(LEAVE))
    container = raw["pipelineSpec"]["deploymentSpec"]["executors"]["make_executor"]["container"]
    container["command"], container["args"] = ["/no/such/program"], []
    error = walk(raw, tmp_path).results["make"].error
    assert error == "/no/such/program cannot be run: No such file or directory. The image would need it."


def test_interrupt_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    import _thread

    raw = job(long=part("import time; time.sleep(60)"), later=part(LEAVE, artifacts={"number": "long"}))
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # of a background process it is ignored
    threading.Timer(1.0, _thread.interrupt_main).start()
    try:
        seen = walk(raw, tmp_path)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert seen.states == {"long": "failed", "later": "not_reached"}
    assert seen.results["long"].error == "interrupted"


def test_job_that_the_service_would_refuse_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        walk(job(make=part(LEAVE, after=["nobody"])), tmp_path)
    assert not (tmp_path / "logs").exists()
