"""Run pipelines on Vertex AI: `python runner_vertex.py compile --config C --runtime R --output job.json`."""

from __future__ import annotations

import logging
import os
import warnings
from datetime import datetime
from enum import Enum
from pathlib import Path

import typer

_CONFIG = typer.Option(..., help="The experiment: a YAML file such as configs/taxi.yaml.")
_RUNTIME = typer.Option(..., help="Project, region, bucket, image: see configs/runtime/vertex.example.yaml.")
_OVERRIDES = typer.Option([], "--set", help="Override one value of the config: fit.epochs=3. May be repeated.")


class Action(str, Enum):
    """What to do with a schedule."""

    list = "list"
    pause = "pause"
    resume = "resume"
    delete = "delete"


app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

_DRY_RUN = typer.Option(False, "--dry-run", help="Read what there is, and print the requests that would change it.")


class BatchFormat(str, Enum):
    """What a batch prediction reads."""

    jsonl = "jsonl"
    tf_record = "tf-record"
    tf_record_gzip = "tf-record-gzip"


@app.callback()
def main() -> None:
    """Run TFX pipelines on Vertex AI."""
    # What libraries have to say on being imported is nothing that a user of this could act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore", FutureWarning)
    logging.getLogger("absl").setLevel(logging.ERROR)


@app.command("compile")
def compile_(
    config: Path = _CONFIG,
    runtime: Path = _RUNTIME,
    output: Path = typer.Option(..., help="Where the job goes (JSON)."),
    overrides: list[str] = _OVERRIDES,
) -> None:
    """Write a Vertex AI pipeline job. Needs no credentials and no network."""
    if not output.parent.is_dir():
        typer.echo(f"--output: the folder {output.parent} does not exist.", err=True)
        raise typer.Exit(2)
    from pipeline.local.telling import exit_code

    def act() -> int:
        from pipeline import lean_imports

        lean_imports.orchestrating()
        from pipeline.config import load_config

        experiment = load_config(config, overrides)
        from pipeline.vertex import compiling
        from pipeline.vertex.runtime import load_runtime

        job = compiling.compile_job(experiment, load_runtime(runtime))
        compiling.write_job(job, output)
        tasks = job["pipelineSpec"]["deploymentSpec"]["executors"]
        typer.echo(f"{output}: {len(tasks)} tasks, root {job['runtimeConfig']['gcsOutputDirectory']}")
        return 0

    raise typer.Exit(exit_code(act))


@app.command()
def rehearse(
    config: Path = _CONFIG,
    runtime: Path = _RUNTIME,
    root: Path = typer.Option(None, help="For all that a rehearsal leaves. [default: runs/<pipeline>-rehearsal]"),
    job: Path = typer.Option(None, help="A job that `compile` wrote. [default: it is compiled now]"),
    overrides: list[str] = _OVERRIDES,
    fresh: bool = typer.Option(False, "--fresh", help="Reuse nothing of earlier rehearsals."),
    as_json: bool = typer.Option(False, "--json", help="Print the summary, and nothing else."),
    jobs: int = typer.Option(None, min=1, help="Tasks at the same time. [default: by cores and memory]"),
    cold: bool = typer.Option(False, "--cold", help="A new interpreter for every task, as in a container. Takes minutes."),
) -> None:
    """Walk the compiled job as the service would, and run each task's own command on this machine.

    Exit codes: 0 pushed; 1 a task failed; 2 the config or the job is wrong: nothing ran; 3 a gate was not passed; 4 another
    process holds the root; 130 interrupted.
    """
    from pipeline.vertex.rehearsal.rehearsing import RehearsalOptions
    from pipeline.vertex.rehearsal.rehearsing import rehearse as run

    raise typer.Exit(run(RehearsalOptions(config, runtime, root, overrides, job, fresh, as_json, jobs, cold)))


@app.command()
def submit(
    config: Path = _CONFIG,
    runtime: Path = _RUNTIME,
    overrides: list[str] = _OVERRIDES,
    dry_run: bool = typer.Option(False, "--dry-run", help="Print the request and what it would rent; send nothing."),
    wait: bool = typer.Option(False, "--wait", help="Show the stages until the job is over."),
    no_cache: bool = typer.Option(False, "--no-cache", help="Run every task, whatever earlier jobs left."),
) -> None:
    """Submit a job to Vertex AI.

    Exit codes: 0 submitted, or with --wait: all gates passed; 1 Vertex AI refused, or a stage failed; 2 bad usage or files;
    3 a gate was not passed; 130 interrupted, and the job goes on, or the job was cancelled.
    """
    from pipeline.vertex.jobs import commands

    raise typer.Exit(commands.submit(commands.What(config, runtime, overrides), dry_run, wait, not no_cache))


@app.command()
def schedule(
    config: Path = _CONFIG,
    runtime: Path = _RUNTIME,
    overrides: list[str] = _OVERRIDES,
    cron: str = typer.Option(..., help='Five fields: "0 3 * * *" is every night at three.'),
    time_zone: str = typer.Option(None, help="Such as Europe/Berlin. [default: UTC]"),
    start: datetime = typer.Option(None, help="The first moment (UTC)."),
    end: datetime = typer.Option(None, help="The last moment (UTC)."),
    max_concurrent: int = typer.Option(1, min=1, help="Jobs of this schedule at the same time."),
    catch_up: bool = typer.Option(False, "--catch-up", help="After a pause run what was missed, too."),
    replace: bool = typer.Option(False, "--replace", help="Instead of the schedule that this pipeline has."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print the request and what a run would rent; send nothing."),
) -> None:
    """Have a job run again and again.

    Exit codes: 0 scheduled; 1 Vertex AI refused; 2 bad usage or files.
    """
    from pipeline.local.telling import exit_code
    from pipeline.vertex.jobs import commands
    from pipeline.vertex.jobs.cron import cron_expression

    def act() -> int:
        first, last = (f"{moment.isoformat()}Z" if moment else None for moment in (start, end))
        timing = commands.Timing(cron_expression(cron, time_zone), first, last, max_concurrent, catch_up)
        return commands.schedule(commands.What(config, runtime, overrides), timing, dry_run, replace)

    raise typer.Exit(exit_code(act))


@app.command()
def schedules(
    pipeline: str = typer.Argument(help="Name of the pipeline, such as taxi."),
    runtime: Path = _RUNTIME,
    action: Action = typer.Option(Action.list, help="What to do with its schedules."),
) -> None:
    """List, pause, resume or delete the schedules of a pipeline.

    Exit codes: 0 done; 1 Vertex AI refused; 2 it has none.
    """
    from pipeline.vertex.jobs import commands

    raise typer.Exit(commands.change_schedule(action.value, runtime, pipeline))


@app.command()
def status(
    job: str = typer.Argument(help="Id, full name or page of a job."),
    runtime: Path = typer.Option(None, help="Where an id is looked for."),
    as_json: bool = typer.Option(False, "--json", help="Print all that Vertex AI knows."),
) -> None:
    """Say how a job stands; on failure with the failed stage's error and log.

    Exit codes: those of the job: 0 under way or succeeded; 1 failed, or Vertex AI refused; 2 bad usage; 3 a gate was not
    passed; 130 cancelled.
    """
    from pipeline.vertex.jobs import commands

    raise typer.Exit(commands.status(job, runtime, as_json))


@app.command()
def cancel(
    job: str = typer.Argument(help="Id, full name or page of a job."),
    runtime: Path = typer.Option(None, help="Where an id is looked for."),
) -> None:
    """Ask for the end of a job.

    Exit codes: 0 asked; 1 Vertex AI refused; 2 bad usage.
    """
    from pipeline.vertex.jobs import commands

    raise typer.Exit(commands.cancel(job, runtime))


@app.command()
def deploy(
    runtime: Path = _RUNTIME,
    version: str = typer.Option(None, help="Id or alias. [default: the first of serving.aliases]"),
    traffic: int = typer.Option(None, min=0, max=100, help="Percent. [default: serving.endpoint.canary_percent]"),
    wait: bool = typer.Option(False, "--wait", help="Until it serves."),
    dry_run: bool = _DRY_RUN,
) -> None:
    """Deploy a registered version as a canary, beside what serves.

    Exit codes: 0 done, or on its way without --wait; 1 the service failed; 2 bad usage, or no such version; 130 interrupted.
    """
    from pipeline.vertex import serving_commands

    raise typer.Exit(serving_commands.deploy(runtime, version, traffic, wait, dry_run))


@app.command()
def promote(
    runtime: Path = _RUNTIME,
    version: str = typer.Option(None, help="Id or alias. [default: the newest with traffic that is not the champion]"),
    rows: Path = typer.Option(None, "--checks", help="Raw rows to ask for, JSON lines. [default: zeros and empty texts]"),
    model: str = typer.Option(None, help="A copy of the version's folder. [default: the folder itself, in the bucket]"),
    answers: int = typer.Option(5, min=1, help="Answers of the canary to look at."),
    max_latency_ms: float = typer.Option(1000.0, min=1, help="Bound of the median answer, with the network."),
    tolerance: float = typer.Option(1e-3, min=0, help="Largest difference of a score from the pushed model's own."),
    unchecked: bool = typer.Option(False, "--unchecked", help="Ask for nothing, promote."),
    dry_run: bool = _DRY_RUN,
) -> None:
    """Check the canary, give it all traffic, make it the champion.

    Exit codes: 0 done; 1 the service failed; 2 bad usage, or nothing to promote; 3 a check did not pass, nothing was promoted.
    """
    from pipeline.vertex import serving_commands
    from pipeline.vertex.canary import Bounds

    bounds = None if unchecked else Bounds(answers, max_latency_ms, tolerance)
    options = serving_commands.CheckOptions(rows, model, bounds)
    raise typer.Exit(serving_commands.promote(runtime, version, options, dry_run))


@app.command()
def rollback(
    runtime: Path = _RUNTIME,
    version: str = typer.Option(
        None, "--to", help="Id or alias. [default: the champion, if a canary has traffic; else the one before]"
    ),
    reason: str = typer.Option("", help="Is written down with the version that goes."),
    dry_run: bool = _DRY_RUN,
) -> None:
    """Give the traffic back to the version before, and withdraw what served instead.

    Exit codes: 0 done; 1 the service failed; 2 bad usage, or nothing to go back to; 130 interrupted.
    """
    from pipeline.vertex import serving_commands

    raise typer.Exit(serving_commands.rollback(runtime, version, reason, dry_run))


@app.command("batch-predict")
def batch_predict(
    source: str = typer.Option(..., "--input", help="gs:// files of tf.Examples: .tfrecord, .gz, .jsonl; * is taken."),
    target: str = typer.Option(..., "--output", help="gs:// folder."),
    runtime: Path = _RUNTIME,
    version: str = typer.Option(None, help="Id or alias. [default: the champion]"),
    kind: BatchFormat = typer.Option(None, "--format", help="Of the input. [default: by its ending]"),
    machine_type: str = typer.Option(None, help="[default: the endpoint's]"),
    max_replicas: int = typer.Option(1, min=1, help="Most machines at a time."),
    wait: bool = typer.Option(False, "--wait", help="Until it is done."),
    dry_run: bool = _DRY_RUN,
) -> None:
    """Score files with a registered version, deployed or not.

    Exit codes: 0 done, or on its way without --wait; 1 the service or the job failed; 2 bad usage.
    """
    from pipeline.vertex import batch, serving_commands

    options = batch.BatchOptions(source, target, version, kind.value if kind else None, machine_type, max_replicas)
    raise typer.Exit(serving_commands.batch_predict(runtime, options, wait, dry_run))


@app.command()
def endpoint(runtime: Path = _RUNTIME) -> None:
    """Tell what is deployed, with which traffic, and which versions there are.

    Exit codes: 0 told; 1 the service failed; 2 bad usage.
    """
    from pipeline.vertex import serving_commands

    raise typer.Exit(serving_commands.endpoint(runtime))


if __name__ == "__main__":
    app()
