"""Run a pipeline on this machine: `python runner_local.py run --config configs/taxi.yaml`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class Engine(str, Enum):
    """What statistics, transform and evaluation run on."""

    columnar = "columnar"
    beam = "beam"


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
    fresh: bool = typer.Option(False, "--fresh", help="Run every stage anew, reuse nothing."),
    engine: Engine = typer.Option(
        Engine.columnar, help="Statistics, transform and evaluation: by blocks of rows, or as TFX does on Beam."
    ),
    jobs: int = typer.Option(None, min=1, help="Stages that may run at the same time. [default: by cores and memory]"),
    as_json: bool = typer.Option(False, "--json", help="Print summary.json instead of tables."),
) -> None:
    """Run the pipeline, reusing what has not changed.

    Exit codes: 0 all gates passed and both models pushed; 1 a stage failed; 2 bad usage, config or data description;
    3 a gate was not passed; 4 another run holds the root; 130 interrupted.
    """
    from pipeline.local import run as local

    options = local.RunOptions(config, root, overrides, fresh, as_json, engine.value, jobs)
    raise typer.Exit(local.run(options, alone=True))


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


if __name__ == "__main__":
    app()
