"""What a job's commands cannot do here is done otherwise: Dataflow's work by Beam here, a custom job's in its task."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pipeline.components import registrar
from pipeline.components.tuner import EXECUTOR_MODULE
from pipeline.vertex.finishing import LAUNCH_COMMAND, VIZIER_EXECUTOR
from pipeline.vertex.rehearsal.beam_options import DIRECT_ARGS, on_dataflow
from pipeline.vertex.rehearsal.job import Json

# Between these of a task's arguments are Beam's.
_BEFORE_BEAM, _AFTER_BEAM = "--json_serialized_inputs_spec_args", "--timeout_seconds"
_REGISTRAR = f"{registrar.EXECUTOR_MODULE}.Executor"
_NOT_BEAM = ("--tuning_",)


def containers_in(job: Json) -> Iterator[tuple[str, Any]]:
    """Give the containers of a job, each with the name of its stage."""
    for label, executor in sorted(job.get("pipelineSpec", {}).get("deploymentSpec", {}).get("executors", {}).items()):
        if "container" in executor:
            yield label.removesuffix("_executor"), executor["container"]


def asks_for_jobs(job: Json) -> bool:
    """Tell whether tasks of a job have the service run other jobs: worker pools, or trials of a search."""
    containers = [container for _, container in containers_in(job)]
    return any(c.get("command") == LAUNCH_COMMAND or VIZIER_EXECUTOR in c.get("args", []) for c in containers)


def beam_args_in(args: list[str]) -> list[str]:
    """Return Beam's arguments among those of a task."""
    first, last = _beam_range(args)
    return [arg for arg in args[first:last] if not arg.startswith(_NOT_BEAM)]


def _beam_range(args: list[str]) -> tuple[int, int]:
    first = args.index(_BEFORE_BEAM) + 2 if _BEFORE_BEAM in args else len(args)
    last = args.index(_AFTER_BEAM, first) if _AFTER_BEAM in args[first:] else len(args)
    return first, last


def adapted(job: Json, has_service: bool) -> tuple[dict[str, Any], list[str]]:
    """Return a job that can be run here, and a sentence for each thing that is done otherwise.

    Args:
      job: as compiled.
      has_service: something stands for the Vertex AI API, so that custom jobs can be asked for.
    """
    changed = copy.deepcopy(dict(job))
    on_beam, launched = False, []
    told: list[str] = []
    for stage, container in containers_in(changed):
        for what in (container, container.get("lifecycle", {}).get("preCacheCheck", {})):
            if on_dataflow(what.get("args", [])):
                what["args"] = _direct(what["args"])
                on_beam = True
        if _REGISTRAR in container.get("args", []):
            container["command"], container["args"] = ["python", "-c", ""], []
            told.append(f"{stage}: not run; nothing here stands for the Model Registry that it asks.")
        if has_service:
            continue
        if VIZIER_EXECUTOR in container.get("args", []):
            container["args"] = _searching_here(container["args"])
            told.append(f"{stage}: trials in processes of this machine; the tuning job it asks for was not submitted.")
        if container.get("command") == LAUNCH_COMMAND:
            # Whatever is before the first bare `--` is about the job, which would rent machines.
            container["command"], container["args"] = container["args"][container["args"].index("--") + 1 :], []
            launched.append(stage)
    if on_beam:
        told.append("Beam stages: on Beam's DirectRunner; Dataflow's options were parsed, not used.")
    if launched:
        told.append(f"{', '.join(launched)}: in one process of the task; the custom job it asks for was not submitted.")
    return changed, told


def _searching_here(args: list[str]) -> list[str]:
    """Return the arguments of the Tuner that does without a service."""
    kept = [arg for arg in args if not arg.startswith(_NOT_BEAM)]
    return [f"{EXECUTOR_MODULE}.Executor" if arg == VIZIER_EXECUTOR else arg for arg in kept]


def _direct(args: list[str]) -> list[str]:
    first, last = _beam_range(args)
    kept = [arg for arg in args[first:last] if arg.startswith(_NOT_BEAM)]
    return [*args[:first], *DIRECT_ARGS, *kept, *args[last:]]
