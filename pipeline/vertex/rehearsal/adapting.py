"""What a job's commands cannot do here is done otherwise: Dataflow's work by Beam on this machine."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pipeline.components import registrar
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


def asks_for_service(job: Json) -> bool:
    """Tell whether tasks of a job call the API: for worker pools, for trials of a search, for a version of a model."""
    containers = [container for _, container in containers_in(job)]
    asking = {VIZIER_EXECUTOR, _REGISTRAR}
    return any(c.get("command") == LAUNCH_COMMAND or asking & set(c.get("args", [])) for c in containers)


def beam_args_in(args: list[str]) -> list[str]:
    """Return Beam's arguments among those of a task."""
    first, last = _beam_range(args)
    return [arg for arg in args[first:last] if not arg.startswith(_NOT_BEAM)]


def _beam_range(args: list[str]) -> tuple[int, int]:
    first = args.index(_BEFORE_BEAM) + 2 if _BEFORE_BEAM in args else len(args)
    last = args.index(_AFTER_BEAM, first) if _AFTER_BEAM in args[first:] else len(args)
    return first, last


def adapted(job: Json) -> tuple[dict[str, Any], list[str]]:
    """Return a job that can be run here, and a sentence for each thing that is done otherwise."""
    changed = copy.deepcopy(dict(job))
    on_beam = False
    for _, container in containers_in(changed):
        for what in (container, container.get("lifecycle", {}).get("preCacheCheck", {})):
            if on_dataflow(what.get("args", [])):
                what["args"] = _direct(what["args"])
                on_beam = True
    return changed, ["Beam stages: on Beam's DirectRunner; Dataflow's options were parsed, not used."] if on_beam else []


def _direct(args: list[str]) -> list[str]:
    first, last = _beam_range(args)
    kept = [arg for arg in args[first:last] if arg.startswith(_NOT_BEAM)]
    return [*args[:first], *DIRECT_ARGS, *kept, *args[last:]]
