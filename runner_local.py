"""Run a pipeline on this machine: `python runner_local.py run --config configs/taxi.yaml`."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path

try:
    import typer
except ModuleNotFoundError:
    print("This Python lacks the packages. Use .venv/bin/python, which `make setup` makes.", file=sys.stderr)
    print("What else is amiss: python3 -m pipeline.doctor", file=sys.stderr)
    sys.exit(2)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class Engine(str, Enum):
    """What statistics, transform and evaluation run on."""

    columnar = "columnar"
    beam = "beam"


class Strategy(str, Enum):
    """What the Trainer distributes over."""

    auto = "auto"
    one_device = "one_device"
    mirrored = "mirrored"
    multi_worker = "multi_worker"
    tpu = "tpu"


class RowFormat(str, Enum):
    """What rows to be scored are read from."""

    csv = "csv"
    parquet = "parquet"
    jsonl = "jsonl"


class PredictEngine(str, Enum):
    """What scores rows."""

    auto = "auto"
    direct = "direct"
    beam = "beam"


@app.callback()
def main() -> None:
    """Run TFX pipelines on this machine."""


@app.command()
def run(
    config: Path = typer.Option(..., help="The experiment: a YAML file such as configs/taxi.yaml."),
    root: Path = typer.Option(None, help="Where everything goes. [default: runs/<pipeline name>]"),
    overrides: list[str] = typer.Option([], "--set", help="Override one value of the config: fit.epochs=3. May be repeated."),
    first: str = typer.Option(None, "--from", metavar="STAGE", help="Run this stage and what follows from it anew."),
    last: str = typer.Option(None, "--to", metavar="STAGE", help="Run this stage and what it needs, and no other."),
    only: str = typer.Option(None, "--only", metavar="STAGE", help="Run this stage anew, and no other."),
    fresh: bool = typer.Option(False, "--fresh", help="Run every stage anew, reuse nothing."),
    engine: Engine = typer.Option(
        Engine.columnar, help="Statistics, transform and evaluation: by blocks of rows, or as TFX does on Beam."
    ),
    strategy: Strategy = typer.Option(Strategy.auto, help="What the Trainer runs on: see docs/training.md."),
    cpu_devices: int = typer.Option(None, min=2, help="With --strategy mirrored: over so many logical devices of the CPU."),
    workers: int = typer.Option(1, min=1, help="With --strategy multi_worker: processes to start on this machine."),
    jobs: int = typer.Option(None, min=1, help="Stages that may run at the same time. [default: by cores and memory]"),
    as_json: bool = typer.Option(False, "--json", help="Print summary.json instead of tables."),
) -> None:
    """Run the pipeline, reusing what has not changed.

    Exit codes: 0 all gates passed and both models pushed; 1 a stage failed; 2 bad usage, config or data description;
    3 a gate was not passed; 4 another run holds the root; 130 interrupted.
    """
    if only and (first or last or fresh):
        raise typer.BadParameter("goes with none of --from, --to and --fresh.", param_hint="--only")
    if fresh and first:
        raise typer.BadParameter("runs every stage anew, so there is nothing to begin --from.", param_hint="--fresh")
    if cpu_devices and strategy != Strategy.mirrored:
        raise typer.BadParameter("goes with --strategy mirrored.", param_hint="--cpu-devices")
    if workers > 1 and strategy != Strategy.multi_worker:
        raise typer.BadParameter("goes with --strategy multi_worker.", param_hint="--workers")
    from pipeline.local import run as local

    stages = (only or first, only or last)
    devices = (strategy.value, cpu_devices, workers)
    options = local.RunOptions(config, root, overrides, fresh, as_json, engine.value, jobs, *stages, *devices)
    raise typer.Exit(local.run(options, alone=True))


@app.command()
def gc(
    root: Path = typer.Option(None, help="Where a pipeline ran. [default: runs/<pipeline name> of --config]"),
    config: Path = typer.Option(None, help="The experiment, instead of --root."),
    keep_runs: int = typer.Option(5, min=1, help="The newest so many runs stay, with all that they read and wrote."),
    keep_pushed: int = typer.Option(5, min=1, help="The newest so many pushed versions stay, with what they were made from."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only list what would go, with sizes."),
) -> None:
    """Remove what old runs left and nothing needs any more.

    Exit codes: 0 done; 2 bad usage, or nothing has run there; 4 a run holds the root.
    """
    from pipeline.local import commands

    raise typer.Exit(commands.gc(commands.GcOptions(root, config, keep_runs, keep_pushed, dry_run)))


@app.command()
def rollback(
    root: Path = typer.Option(None, help="Where a pipeline ran. [default: runs/<pipeline name> of --config]"),
    config: Path = typer.Option(None, help="The experiment, instead of --root."),
    version: int = typer.Option(None, "--to", help="Go back to this version of the SavedModel. [default: the model before]"),
    reason: str = typer.Option("", help="Is recorded, and shown when the model would be pushed again."),
) -> None:
    """Put the pushed version before back, as a new version, and withdraw the newest model.

    Exit codes: 0 done; 2 bad usage, or nothing to go back to; 4 a run holds the root.
    """
    from pipeline.local import commands

    raise typer.Exit(commands.rollback(root, config, version, reason))


@app.command()
def doctor(
    config: Path = typer.Option(None, help="Check this experiment and its data too."),
    runtime: Path = typer.Option(None, help="Check Vertex AI too: credentials, bucket, APIs, image."),
    root: Path = typer.Option(None, help="Where runs go. [default: runs/<pipeline name>]"),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document instead of lines."),
) -> None:
    """Check whether this machine, a config and a cloud set-up can run the pipeline; name each problem with its cure.

    Exit codes: 0 no problem, perhaps warnings; 2 a problem.
    """
    from pipeline.doctor.diagnosing import diagnose
    from pipeline.doctor.subject import Subject

    raise typer.Exit(diagnose(Subject(config, runtime, root), as_json))


@app.command()
def lineage(
    root: Path = typer.Option(None, help="Where a pipeline ran. [default: runs/<pipeline name> of --config]"),
    config: Path = typer.Option(None, help="The experiment, instead of --root."),
    model: str = typer.Option(None, help="Such as pushed/edge/3. [default: the newest SavedModel]"),
    as_json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
    as_events: bool = typer.Option(False, "--openlineage", help="Print OpenLineage run events, one a line."),
    output: Path = typer.Option(None, help="Write to a file instead."),
) -> None:
    """Tell where a pushed model came from: data, schema, transform, hyperparameters, code, metrics, gates, parents.

    Exit codes: 0 told; 2 bad usage, no such model, or nothing left that could tell.
    """
    from pipeline.lineage import command

    if as_json and as_events:
        raise typer.BadParameter("Give --json or --openlineage, not both.")
    form: command.Format = "json" if as_json else "openlineage" if as_events else "tree"
    raise typer.Exit(command.show(command.LineageOptions(root, config, model, form, output)))


@app.command()
def predict(
    model: str = typer.Option(
        ..., help="A pushed SavedModel or edge package, the folder of its versions, a root, or a .tflite."
    ),
    rows: str = typer.Option(..., "--input", help="Raw rows: a file, a folder or a glob; CSV, Parquet or JSON lines."),
    output: str = typer.Option(..., help="Where the scores go: .csv, .parquet or .jsonl; - prints CSV."),
    kind: RowFormat = typer.Option(None, "--format", help="Format of the input. [default: what the files' names say]"),
    carried: list[str] = typer.Option(
        [], "--keep", help="A column of the input, such as an id, for the output. May be repeated."
    ),
    max_bad_rows: float = typer.Option(0.001, min=0, max=1, help="Share of rows that may be unusable."),
    engine: PredictEngine = typer.Option(PredictEngine.auto, help="This process, or Beam; auto: Beam if a runner is named."),
    runner: str = typer.Option(None, help="One of Beam's runners, such as DataflowRunner."),
    beam_args: list[str] = typer.Option(
        [], "--beam-arg", help="Another argument for Beam: --beam-arg=--region=x. May be repeated."
    ),
) -> None:
    """Score raw rows with a pushed model.

    Exit codes: 0 scored; 1 a file cannot be read to its end, or too many rows are unusable; 2 bad usage; 130 interrupted.
    """
    from pipeline.predicting import command

    named = [f"--runner={runner}"] if runner else []
    asked = command.PredictOptions(
        model, rows, output, kind and kind.value, carried, max_bad_rows, engine.value, [*named, *beam_args]
    )
    raise typer.Exit(command.predict(asked))


@app.command()
def drift(
    rows: str = typer.Option(..., "--data", help="New rows: a file, a folder or a glob; CSV, Parquet or JSON lines."),
    config: Path = typer.Option(..., help="The experiment: it names the pipeline and its root."),
    root: Path = typer.Option(None, help="Of the runs. [default: runs/<pipeline name>]"),
    model: str = typer.Option(None, help="Whose columns are compared. [default: the newest SavedModel pushed in the root]"),
    reference: str = typer.Option(
        None, help="Statistics of what it was trained on, local or gs://. [default: those of that SavedModel]"
    ),
    kind: RowFormat = typer.Option(None, "--format", help="Format of the rows. [default: what the files' names say]"),
    bound: float = typer.Option(0.1, min=0, max=1, help="Largest distance, of any measure."),
    bounds: list[str] = typer.Option([], "--bound-of", help="Of one column: fare=0.2. May be repeated."),
    output: str = typer.Option(
        None, help="Where the report (JSON) goes. gs://BUCKET/PIPELINE/drift/NAME.json: a training starts."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the report, and nothing else."),
) -> None:
    """Compare new rows with those that the model in production was trained on.

    Exit codes: 0 nothing has drifted; 1 a file cannot be read; 2 bad usage; 3 something has drifted.
    """
    from pipeline.drift import command
    from pipeline.errors import ConfigError

    try:
        own = command.parse_bounds(bounds)
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    asked = command.DriftOptions(rows, config, root, model, reference, kind and kind.value, bound, own, output, as_json)
    raise typer.Exit(command.drift(asked))


if __name__ == "__main__":
    app()
