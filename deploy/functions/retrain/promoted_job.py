"""The job that a release promoted, as `runner_vertex.py compile` wrote it, and what a cause changes in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from failures import PermanentError

Job = dict[str, Any]
_SPAN_OF_DATA = "range_config"  # TFX's name for `data.span`


def parse(content: bytes, place: str, pipeline: str, bucket: str) -> Job:
    """Return a job.

    Args:
      content: of the file.
      place: its name, for messages.
      pipeline: whose job it must be.
      bucket: where it must work, without gs://.

    Raises:
      PermanentError: it is not.
    """
    again = "Publish it again: make publish-job, or run the release."
    try:
        job = json.loads(content)
        root = job["runtimeConfig"]["gcsOutputDirectory"]
        found, spec = job["labels"]["pipeline"], job["pipelineSpec"]
        _ = spec["root"]["dag"]["tasks"], spec["components"].values(), spec["deploymentSpec"]["executors"].values()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(f"{place} is no compiled job ({type(error).__name__}: {error}). {again}") from None
    if found != pipeline:
        raise PermanentError(f"{place} is a job of the pipeline '{found}', expected '{pipeline}'. {again}")
    if not root.startswith(f"gs://{bucket}/"):
        raise PermanentError(f"{place} works in {root}, expected gs://{bucket}/: it is of another environment. {again}")
    return job


def pin_span(job: Job, number: int, place: str) -> None:
    """Have a job read one span, as if it had been compiled with `data.span`.

    Left alone it would read the newest folder that it finds when it runs, complete or not.

    Args:
      job: is changed.
      number: of the span.
      place: name of the job's file, for messages.

    Raises:
      PermanentError: its data is not in spans, or it has been compiled for a certain one.
    """
    readers = [(name, task) for name, task in _tasks(job) if "input_config" in task.get("inputs", {}).get("parameters", {})]
    if len(readers) != 1:
        raise PermanentError(f"{place} reads no files, but SPAN_MARKER waits for spans of them. Let it be empty.")
    (_, task) = readers[0]
    parameters = task["inputs"]["parameters"]
    pattern = parameters["input_config"]["runtimeValue"]["constant"]
    if "{SPAN" not in pattern and "{YYYY}" not in pattern:
        raise PermanentError(f"{place}: data.path has no {{SPAN}} and no date, but SPAN_MARKER has. Make them fit.")
    if _SPAN_OF_DATA in parameters:
        raise PermanentError(f"{place} has been compiled with data.span: it reads that span, no other. Publish it without.")
    only = {"static_range": {"end_span_number": number, "start_span_number": number}}
    parameters[_SPAN_OF_DATA] = {"runtimeValue": {"constant": json.dumps(only, indent=2)}}
    spec = job["pipelineSpec"]
    component = spec["components"][task["componentRef"]["name"]]
    component["inputDefinitions"]["parameters"][_SPAN_OF_DATA] = {"parameterType": "STRING"}
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    for command in (container, container["lifecycle"]["preCacheCheck"]):
        _declare_parameter(command["args"])


def read_data_anew(job: Job) -> None:
    """Have the stage that reads the data run, where the service cannot see whether there is new data.

    Files have a check before the cache, which sees them. The result of a query is kept for as long as its text is the same.
    """
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    for name, task in _tasks(job):
        lifecycle = executors.get(f"{name}_executor", {}).get("container", {}).get("lifecycle", {})
        if name == "ExampleGen" and "preCacheCheck" not in lifecycle:
            task.pop("cachingOptions", None)


def _declare_parameter(args: list[str]) -> None:
    """Tell a command the type of the new parameter, in the same layout."""
    at = args.index("--json_serialized_inputs_spec_args") + 1
    declared = json.loads(args[at])
    declared["parameters"][_SPAN_OF_DATA] = {"parameterType": "STRING"}
    layout: dict[str, Any] = {"indent": 2} if "\n" in args[at] else {"separators": (",", ":")}
    args[at] = json.dumps(declared, sort_keys=True, **layout)


def _tasks(job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    spec = job["pipelineSpec"]
    for part in (spec["root"], *spec["components"].values()):
        yield from part.get("dag", {}).get("tasks", {}).items()
