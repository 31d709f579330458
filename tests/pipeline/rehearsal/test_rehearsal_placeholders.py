"""Placeholders and values, as commands and filters get them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.placeholders import NothingThereError, fill
from pipeline.vertex.rehearsal.values import in_text, on_the_wire, typed


@pytest.fixture
def told(tmp_path: Path) -> dict:
    (tmp_path / "value").write_text("of a file")
    model = {"name": "projects/1/a/2", "uri": str(tmp_path / "value"), "metadata": {"blessed": 1.0}}
    return {
        "inputs": {
            "parameterValues": {"steps": 3.0, "rate": 0.5, "name": "x y", "names": ["a"]},
            "artifacts": {"model": {"artifacts": [model]}, "nothing": {"artifacts": []}},
        },
        "outputs": {
            "artifacts": {"out": {"artifacts": [{"name": "n", "uri": "gs://b/out", "metadata": {}}]}},
            "parameters": {"count": {"outputFile": "gs://b/count"}},
            "outputFile": "gs://b/executor_output.json",
        },
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--steps={{$.inputs.parameters['steps']}}", "--steps=3"),
        ("{{$.inputs.parameters['rate']}} {{$.inputs.parameters['name']}}", "0.5 x y"),
        ("{{$.inputs.parameters['names']}}", '["a"]'),
        ("{{$.inputs.artifacts['model'].name}}", "projects/1/a/2"),
        ("{{$.inputs.artifacts['model'].value}}", "of a file"),
        ("{{$.inputs.artifacts['model'].metadata['blessed']}}", "1"),
        ("{{$.outputs.artifacts['out'].uri}}", "gs://b/out"),
        ("{{$.outputs.parameters['count'].output_file}}", "gs://b/count"),
        ("{{$.outputs.outputFile}}", "gs://b/executor_output.json"),
        ("no {placeholder} {{ at all }}", "no {placeholder} {{ at all }}"),
    ],
)
def test_placeholder_is_filled_in(told: dict, text: str, expected: str) -> None:
    assert fill(text, told) == expected


def test_everything_at_once_is_json(told: dict) -> None:
    assert json.loads(fill("{{$}}", told)) == told


def test_placeholder_of_an_unknown_parameter_names_those_there_are(told: dict) -> None:
    with pytest.raises(TaskFailedError, match=r"asks for 'other'; there is: steps, rate, name, names"):
        fill("{{$.inputs.parameters['other']}}", told)


@pytest.mark.parametrize("text", ["{{$.inputs.artifacts['nothing'].uri}}", "{{$.inputs.artifacts['model'].metadata['x']}}"])
def test_placeholder_of_nothing_is_told_apart(told: dict, text: str) -> None:
    with pytest.raises(NothingThereError):
        fill(text, told)


def test_placeholder_that_cannot_be_read_is_an_error(told: dict) -> None:
    with pytest.raises(TaskFailedError, match=r"Cannot read the placeholder \{\{\$\.pipeline_job_name\}\}"):
        fill("{{$.pipeline_job_name}}", told)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3.0, "NUMBER_INTEGER", 3),
        ("3", "NUMBER_INTEGER", 3),
        (3, "NUMBER_DOUBLE", 3.0),
        ("True", "BOOLEAN", True),
        ('["a"]', "LIST", ["a"]),
        ("3", "STRING", "3"),
    ],
)
def test_value_gets_the_type_of_its_parameter(value: object, kind: str, expected: object) -> None:
    got = typed(value, {"parameterType": kind})
    assert (got, type(got)) == (expected, type(expected))


@pytest.mark.parametrize(("value", "kind"), [(3.5, "NUMBER_INTEGER"), ("many", "NUMBER_DOUBLE"), ("maybe", "BOOLEAN")])
def test_value_of_another_type_is_an_error(value: object, kind: str) -> None:
    with pytest.raises(TaskFailedError, match=f"is no {kind}"):
        typed(value, {"parameterType": kind})


def test_numbers_travel_as_floats_and_truths_as_truths() -> None:
    sent = on_the_wire({"n": 3, "b": True, "deep": [1, {"m": 2}]})
    assert json.dumps(sent) == '{"n": 3.0, "b": true, "deep": [1.0, {"m": 2.0}]}'
    assert in_text(True) == "true"
