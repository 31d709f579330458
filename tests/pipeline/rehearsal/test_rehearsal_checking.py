"""What the service would refuse is refused before anything runs, all of it in one message."""

from __future__ import annotations

from typing import Any

import pytest
from small_jobs import LEAVE, job, part

from pipeline.vertex.rehearsal.checking import check
from pipeline.vertex.rehearsal.errors import RefusedError
from pipeline.vertex.rehearsal.reading import read_job


def mistakes_of(raw: dict[str, Any]) -> tuple[str, ...]:
    try:
        check(read_job(raw), raw)
    except RefusedError as error:
        return error.mistakes
    return ()


def good() -> dict[str, Any]:
    return job(make=part(LEAVE, parameters={"value": "1"}), use=part(LEAVE, artifacts={"number": "make"}))


def tasks(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["pipelineSpec"]["root"]["dag"]["tasks"]


def test_good_job_is_taken() -> None:
    assert mistakes_of(good()) == ()


def break_name(raw: dict[str, Any]) -> None:
    raw["pipelineSpec"]["pipelineInfo"]["name"] = "My_Job"


def break_root(raw: dict[str, Any]) -> None:
    raw["runtimeConfig"]["gcsOutputDirectory"] = "/local"


def break_version(raw: dict[str, Any]) -> None:
    raw["pipelineSpec"]["schemaVersion"] = "2.0.0"


def break_component(raw: dict[str, Any]) -> None:
    tasks(raw)["use"]["componentRef"]["name"] = "gone"


def break_executor(raw: dict[str, Any]) -> None:
    raw["pipelineSpec"]["deploymentSpec"]["executors"].pop("use_executor")


def break_image(raw: dict[str, Any]) -> None:
    raw["pipelineSpec"]["deploymentSpec"]["executors"]["use_executor"]["container"]["image"] = ""


def break_producer(raw: dict[str, Any]) -> None:
    tasks(raw)["use"]["inputs"]["artifacts"]["number"]["taskOutputArtifact"]["producerTask"] = "make_task"


def break_output(raw: dict[str, Any]) -> None:
    tasks(raw)["use"]["inputs"]["artifacts"]["number"]["taskOutputArtifact"]["outputArtifactKey"] = "model"


def break_circle(raw: dict[str, Any]) -> None:
    tasks(raw)["make"]["dependentTasks"] = ["use"]


def break_source(raw: dict[str, Any]) -> None:
    tasks(raw)["make"]["inputs"]["parameters"]["value"] = {"fromTheMoon": {}}


def break_missing_value(raw: dict[str, Any]) -> None:
    del tasks(raw)["make"]["inputs"]["parameters"]["value"]


def break_extra_value(raw: dict[str, Any]) -> None:
    tasks(raw)["use"]["inputs"]["parameters"] = {"other": {"runtimeValue": {"constant": "1"}}}


def break_runtime_parameter(raw: dict[str, Any]) -> None:
    raw["pipelineSpec"]["root"]["inputDefinitions"] = {"parameters": {"rows": {"parameterType": "NUMBER_INTEGER"}}}


def break_type(raw: dict[str, Any]) -> None:
    break_runtime_parameter(raw)
    raw["runtimeConfig"]["parameterValues"] = {"rows": "many"}


def break_unknown_parameter(raw: dict[str, Any]) -> None:
    raw["runtimeConfig"]["parameterValues"] = {"rows": 3}


@pytest.mark.parametrize(
    ("breaking", "expected"),
    [
        (break_name, "pipelineInfo.name is 'My_Job'; expected lower-case letters, digits and dashes"),
        (break_root, "gcsOutputDirectory is '/local'; expected gs://BUCKET/FOLDER."),
        (break_version, "schemaVersion is '2.0.0', a rehearsal reads 2.1.x."),
        (break_component, "root.use is an instance of the component 'gone', which the job does not have."),
        (break_executor, "root.use has no executor: expected one of container, importer, resolver"),
        (break_image, "root.use names no container image."),
        (break_producer, "root.use waits for 'make_task', which is no task of this group. It has: make, use."),
        (break_output, "root.use: the input 'number' is the output 'model' of make, which has: number."),
        (break_circle, "root: make, use wait for one another in a circle."),
        (break_source, "root.make: the input 'value' comes from fromTheMoon; expected one of runtimeValue"),
        (break_missing_value, "root.make gets no value for its parameter 'value', which has no default."),
        (break_extra_value, "root.use gets a value for 'other', which is no parameter of use."),
        (break_runtime_parameter, "The runtime parameter 'rows' has no value and no default."),
        (break_type, "The runtime parameter 'rows' is 'many'; expected a NUMBER_INTEGER."),
        (break_unknown_parameter, "The job has no runtime parameter 'rows'. It has: none."),
    ],
)
def test_mistake_is_told(breaking: Any, expected: str) -> None:
    raw = good()
    breaking(raw)
    found = mistakes_of(raw)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_all_mistakes_are_told_at_once() -> None:
    raw = good()
    for breaking in (break_name, break_root, break_executor, break_unknown_parameter):
        breaking(raw)
    assert len(mistakes_of(raw)) == 4
    with pytest.raises(RefusedError) as error:
        check(read_job(raw), raw)
    assert str(error.value).startswith("Vertex AI would not take this job:\n  pipelineInfo.name")


def test_job_without_tasks_is_refused() -> None:
    assert mistakes_of(job()) == ("The job has no task.",)


def test_tasks_of_groups_are_looked_at_too() -> None:
    raw = good()
    spec = raw["pipelineSpec"]
    spec["components"]["inner"] = {"dag": spec["root"]["dag"]}
    spec["root"] = {"dag": {"tasks": {"inner": {"componentRef": {"name": "inner"}}}}}
    assert mistakes_of(raw) == ()
    spec["components"]["inner"]["dag"]["tasks"]["use"]["dependentTasks"] = ["nobody"]
    assert [mistake.split(",")[0] for mistake in mistakes_of(raw)] == ["inner.use waits for 'nobody'"]
