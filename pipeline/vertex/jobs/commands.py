"""`runner_vertex.py submit | schedule | status | cancel`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import exit_codes
from pipeline.artifacts import EXAMPLE_GEN
from pipeline.data_config import BigQueryData, has_span
from pipeline.errors import ConfigError
from pipeline.local.telling import exit_code
from pipeline.vertex.jobs import watching
from pipeline.vertex.jobs.api import JobsApi
from pipeline.vertex.jobs.names import console_link, full_name, job_id
from pipeline.vertex.jobs.renting import rented

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.vertex.runtime import VertexRuntime

_NEWEST_SPAN = (
    "Each job will read the newest span that it finds, even one that is still being written. Move spans into place when they "
    "are complete, or let the function in deploy/ start the jobs: it waits for a marker (docs/continuous_training.md)."
)


@dataclass(frozen=True)
class What:
    """Which job: compiled anew from config and runtime, with overrides of the config."""

    config: Path
    runtime: Path
    overrides: Sequence[str] = ()


@dataclass(frozen=True)
class Timing:
    """When a schedule runs.

    Attributes:
      cron: as `cron_expression` gives it.
      start: the first moment, RFC 3339; None: at once.
      end: the last one; None: never.
      max_concurrent: jobs of it at the same time.
      catch_up: run what was missed while it was paused, too.
    """

    cron: str
    start: str | None = None
    end: str | None = None
    max_concurrent: int = 1
    catch_up: bool = False


def submit(what: What, dry_run: bool, wait: bool, use_cache: bool) -> int:
    """Submit a job; return the exit code."""
    return exit_code(lambda: _submit(what, dry_run, wait, use_cache))


def schedule(what: What, timing: Timing, dry_run: bool, replace: bool) -> int:
    """Have a job run again and again; return the exit code."""
    return exit_code(lambda: _schedule(what, timing, dry_run, replace))


def change_schedule(verb: str, runtime: Path, name: str) -> int:
    """Pause, resume or delete the schedules of a pipeline; return the exit code."""
    return exit_code(lambda: _change_schedule(verb, runtime, name))


def status(job: str, runtime: Path | None, as_json: bool) -> int:
    """Say how a job stands; return the exit code of the job."""
    return exit_code(lambda: _status(job, runtime, as_json))


def cancel(job: str, runtime: Path | None) -> int:
    """Ask for the end of a job; return the exit code."""
    return exit_code(lambda: _cancel(job, runtime))


def _submit(what: What, dry_run: bool, wait: bool, use_cache: bool) -> int:
    config, runtime, job = _compiled(what)
    if not use_cache:
        without_cache(job)
    identity = job_id(config.name, datetime.now(timezone.utc))
    if dry_run:
        print(json.dumps({"parent": runtime.location, "pipelineJobId": identity, "pipelineJob": job}, indent=2, sort_keys=True))
        _print_rented(job, config, runtime)
        return exit_codes.OK
    api = JobsApi(runtime.location)
    created = api.submit(job, identity)
    print(f"Submitted {created.name}\n{console_link(created.name)}", flush=True)
    if not wait:
        print(f"How it stands: python runner_vertex.py status {created.name}")
        return exit_codes.OK
    return _wait(api, created)


def _wait(api: JobsApi, job: Any) -> int:
    from pipeline.local.screen import Screen

    screen = Screen(sys.stdout)
    try:
        job = watching.watch(api, job, screen)
    except KeyboardInterrupt:
        screen.end()
        print(f"The job goes on. To end it: python runner_vertex.py cancel {job.name}", file=sys.stderr)
        return exit_codes.INTERRUPTED
    code, lines = watching.verdict(job)
    for line in lines:
        screen.say(line, "red")
    screen.say(f"{'succeeded' if code == exit_codes.OK else 'not_blessed' if code == exit_codes.NOT_BLESSED else 'failed'}")
    return code


def _schedule(what: What, timing: Timing, dry_run: bool, replace: bool) -> int:
    config, runtime, job = _compiled(what)
    if isinstance(config.data, BigQueryData):  # the cache knows the query's text only, not what the tables hold by then
        without_cache(job, EXAMPLE_GEN)
    elif has_span(config.data.path) and config.data.span is None:
        print(_NEWEST_SPAN, file=sys.stderr)
    request = schedule_request(job, runtime.location, timing)
    if dry_run:
        print(json.dumps({"parent": runtime.location, "schedule": request}, indent=2, sort_keys=True))
        _print_rented(job, config, runtime)
        return exit_codes.OK
    api = JobsApi(runtime.location)
    earlier = api.schedules(config.name)
    if earlier and not replace:
        raise ConfigError(
            f"{config.name} is scheduled already: {earlier[0].name} ({earlier[0].cron}). Use --replace to run this one instead."
        )
    created = api.create_schedule(request)
    for old in earlier:  # after the new one is there: a run too many is better than none
        api.change_schedule("delete", old.name)
        print(f"Deleted {old.name}")
    print(f"Scheduled {created.name}: {created.cron}")
    return exit_codes.OK


def schedule_request(job: dict[str, Any], location: str, timing: Timing) -> dict[str, Any]:
    """Return a Schedule of the API in its REST form."""
    times = {"startTime": timing.start, "endTime": timing.end}
    return {
        "displayName": job["displayName"],
        "cron": timing.cron,
        "maxConcurrentRunCount": timing.max_concurrent,
        "catchUp": timing.catch_up,
        "createPipelineJobRequest": {"parent": location, "pipelineJob": job},
    } | {key: value for key, value in times.items() if value}


def without_cache(job: dict[str, Any], stage: str | None = None) -> None:
    """Have a task of a job run, by default every one, whatever earlier jobs left."""
    spec = job["pipelineSpec"]
    for dag in [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]:
        for name, task in dag["tasks"].items():
            if stage in (None, name):
                task.pop("cachingOptions", None)


def _change_schedule(verb: str, runtime: Path, name: str) -> int:
    from pipeline.vertex.runtime import load_runtime

    api = JobsApi(load_runtime(runtime).location)
    found = api.schedules(name)
    if not found:
        raise ConfigError(f"'{name}' is not scheduled in {api.location}. Give the name of a pipeline, such as taxi.")
    done = {"pause": "paused", "resume": "resumed", "delete": "deleted"}
    for each in found:
        if verb in done:
            api.change_schedule(verb, each.name)
        print(f"{each.name}: {each.cron}, {done.get(verb) or each.state.name.lower()}")
    return exit_codes.OK


def _status(job: str, runtime: Path | None, as_json: bool) -> int:
    found = _find(job, runtime)
    if as_json:
        print(json.dumps(type(found).to_dict(found, use_integers_for_enums=False), indent=2, sort_keys=True))
    else:
        watching.describe(found, print)
    if not watching.is_over(found):
        return exit_codes.OK
    code, lines = watching.verdict(found)
    for line in lines:
        print(line, file=sys.stderr)
    return code


def _find(job: str, runtime: Path | None) -> Any:
    name = full_name(job, _location(runtime))
    return JobsApi("/".join(name.split("/")[:4])).job(name)


def _cancel(job: str, runtime: Path | None) -> int:
    name = full_name(job, _location(runtime))
    JobsApi("/".join(name.split("/")[:4])).cancel(name)
    print(f"Asked Vertex AI to cancel {name}. Tasks that run are ended within minutes.")
    return exit_codes.OK


def _location(runtime: Path | None) -> str | None:
    if runtime is None:
        return None
    from pipeline.vertex.runtime import load_runtime

    return load_runtime(runtime).location


def _compiled(what: What) -> tuple[PipelineConfig, VertexRuntime, dict[str, Any]]:
    """Load, and compile.

    Raises:
      ConfigError: something is wrong with one of the files.
    """
    from pipeline import lean_imports

    lean_imports.orchestrating()
    from pipeline.config import load_config
    from pipeline.vertex import compiling
    from pipeline.vertex.runtime import load_runtime

    config, runtime = load_config(what.config, what.overrides), load_runtime(what.runtime)
    return config, runtime, compiling.compile_job(config, runtime)


def _print_rented(job: dict[str, Any], config: PipelineConfig, runtime: VertexRuntime) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "number", "machine", title="What this would rent", title_justify="left")
    for row in rented(job, config, runtime):
        table.add_row(*row)
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(table)
    print("Nothing was sent.", file=sys.stderr)
