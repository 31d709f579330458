"""Reads the JSON of a PipelineJob, pipeline specification 2.1."""

from __future__ import annotations

from typing import Any

from pipeline.vertex.rehearsal.job import Component, Group, Json, PipelineJob, Retries, Task

_FAST = "PIPELINE_FAILURE_POLICY_FAIL_FAST"
_ALWAYS = "ALL_UPSTREAM_TASKS_COMPLETED"


def read_job(job: Json) -> PipelineJob:
    """Return what a job says, right or wrong: `checking` tells."""
    spec, settings = job.get("pipelineSpec", {}), job.get("runtimeConfig", {})
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    root = spec.get("root", {})
    return PipelineJob(
        pipeline=spec.get("pipelineInfo", {}).get("name", ""),
        folder=settings.get("gcsOutputDirectory", "").rstrip("/"),
        root=_group(root.get("dag", {})),
        components={name: _component(name, body, executors) for name, body in spec.get("components", {}).items()},
        parameters=root.get("inputDefinitions", {}).get("parameters", {}),
        values={name: constant(value) for name, value in settings.get("parameterValues", {}).items()},
        fails_fast=settings.get("failurePolicy") == _FAST,
    )


def _component(name: str, body: Json, executors: Json) -> Component:
    outputs = body.get("outputDefinitions", {})
    return Component(
        name=name,
        input_parameters=body.get("inputDefinitions", {}).get("parameters", {}),
        output_parameters=outputs.get("parameters", {}),
        output_artifacts=outputs.get("artifacts", {}),
        executor=executors.get(body.get("executorLabel", "")),
        group=_group(body["dag"]) if "dag" in body else None,
    )


def _group(dag: Json) -> Group:
    return Group({name: _task(name, body) for name, body in dag.get("tasks", {}).items()}, dag.get("outputs", {}))


def _task(name: str, body: Json) -> Task:
    inputs, trigger = body.get("inputs", {}), body.get("triggerPolicy", {})
    parameters, artifacts = inputs.get("parameters", {}), inputs.get("artifacts", {})
    return Task(
        name=name,
        component=body.get("componentRef", {}).get("name", ""),
        parameters=parameters,
        artifacts=artifacts,
        needs=frozenset([*body.get("dependentTasks", []), *_producers(parameters), *_producers(artifacts)]),
        condition=trigger.get("condition"),
        always=trigger.get("strategy") == _ALWAYS,
        cached=bool(body.get("cachingOptions", {}).get("enableCache")),
        retries=_retries(body.get("retryPolicy", {})),
    )


def _producers(inputs: Json) -> list[str]:
    """Return the tasks that inputs come from."""
    return [
        source["producerTask"]
        for each in inputs.values()
        for source in each.values()
        if isinstance(source, dict) and "producerTask" in source
    ]


def _retries(policy: Json) -> Retries:
    return Retries(
        count=int(policy.get("maxRetryCount", 0)),
        seconds=float(str(policy.get("backoffDuration", "0s")).removesuffix("s")),
        factor=float(policy.get("backoffFactor", 2.0)) or 2.0,
        most_seconds=float(str(policy.get("backoffMaxDuration", "3600s")).removesuffix("s")),
    )


def constant(value: Any) -> Any:
    """Return a value of the job as Python has it; TFX writes some as {"stringValue": ...} in specification 2.1 too."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind in ("stringValue", "intValue", "doubleValue"):
            return {"stringValue": str, "intValue": int, "doubleValue": float}[kind](inner)
    return value
