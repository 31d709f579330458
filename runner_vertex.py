"""Compile a pipeline for Vertex AI, or rehearse it here: `python runner_vertex.py compile|rehearse --config C --runtime R`."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


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
def rehearse(
    config: Path = typer.Option(..., help="The experiment: a YAML file such as configs/taxi.yaml."),
    runtime: Path = typer.Option(..., help="Project, region, bucket, image: see configs/runtime/vertex.example.yaml."),
    root: Path | None = typer.Option(None, help="For everything a rehearsal leaves. Default: runs/<pipeline>-rehearsal."),
    job: Path | None = typer.Option(None, help="A job that `compile` wrote. Default: it is compiled now."),
    overrides: list[str] = typer.Option([], "--set", help="Override one value of the config: fit.epochs=3. May be repeated."),
    fresh: bool = typer.Option(False, "--fresh", help="Reuse nothing of earlier rehearsals."),
    as_json: bool = typer.Option(False, "--json", help="Print the summary, and nothing else."),
    jobs: int | None = typer.Option(None, min=1, help="Tasks at the same time. Default: by cores and memory."),
    cold: bool = typer.Option(False, "--cold", help="A new interpreter for every task, as in a container. Takes minutes."),
) -> None:
    """Walk the compiled job as the service would, and run each task's own command on this machine."""
    from pipeline.vertex.rehearsal.rehearsing import RehearsalOptions
    from pipeline.vertex.rehearsal.rehearsing import rehearse as run

    raise typer.Exit(run(RehearsalOptions(config, runtime, root, overrides, job, fresh, as_json, jobs, cold)))


if __name__ == "__main__":
    app()
