"""Compile a pipeline for Vertex AI: `python runner_vertex.py compile --config C --runtime R --output job.json`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

_RUNTIME = typer.Option(..., help="Project, region, serving: see configs/runtime/vertex.example.yaml.")
_DRY_RUN = typer.Option(False, "--dry-run", help="Read what there is, and print the requests that would change it.")


class BatchFormat(str, Enum):
    """What a batch prediction reads."""

    jsonl = "jsonl"
    tf_record = "tf-record"
    tf_record_gzip = "tf-record-gzip"


@app.callback()
def main() -> None:
    """Run TFX pipelines on Vertex AI."""


@app.command("compile")
def compile_(
    config: Path = typer.Option(..., help="The experiment: a YAML file such as configs/taxi.yaml."),
    runtime: Path = typer.Option(..., help="Project, region, bucket, image: see configs/runtime/vertex.example.yaml."),
    output: Path = typer.Option(..., help="Where the job goes (JSON)."),
    overrides: list[str] = typer.Option([], "--set", help="Override one value of the config: fit.epochs=3. May be repeated."),
) -> None:
    """Write a Vertex AI pipeline job. Needs no credentials and no network."""
    from pipeline.errors import ConfigError

    if not output.parent.is_dir():
        typer.echo(f"--output: the folder {output.parent} does not exist.", err=True)
        raise typer.Exit(2)
    try:
        from pipeline import lean_imports

        lean_imports.orchestrating()
        from pipeline.config import load_config

        experiment = load_config(config, overrides)
        from pipeline.vertex import compiling
        from pipeline.vertex.runtime import load_runtime

        job = compiling.compile_job(experiment, load_runtime(runtime))
        compiling.write_job(job, output)
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    typer.echo(f"{output}: {len(tasks)} tasks, root {job['runtimeConfig']['gcsOutputDirectory']}")


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
