"""`runner_local.py drift`: compares, prints, writes the report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import exit_codes, lean_imports
from pipeline.errors import ConfigError
from pipeline.json_text import to_json
from pipeline.local.telling import exit_code

if TYPE_CHECKING:
    from pipeline.drift.measuring import Counted, Distance, Known

BOUND = 0.1


@dataclass(frozen=True)
class DriftOptions:
    """What `runner_local.py drift` was asked for.

    Attributes:
      rows: a file, a folder, a glob.
      config: names the pipeline and, without `root`, its root.
      root: of runs.
      model: whose columns are compared; None: the newest that was pushed in the root.
      reference: statistics of what it was trained on; None: those behind the newest push of the root.
      kind: format of the rows; None: what their names say.
      bound: largest distance of any measure.
      bounds: {column: its own}.
      output: where the report goes, local or gs://; None: nowhere.
      as_json: print the report and nothing else.
    """

    rows: str
    config: Path
    root: Path | None = None
    model: str | None = None
    reference: str | None = None
    kind: str | None = None
    bound: float = BOUND
    bounds: Mapping[str, float] = field(default_factory=dict)
    output: str | None = None
    as_json: bool = False


def drift(options: DriftOptions) -> int:
    """Compare new rows with those that the model was trained on.

    Returns:
      The exit code: 0 nothing has drifted; 1 a file cannot be read; 2 bad usage; 3 something has.
    """
    return exit_code(lambda: _drift(options))


def parse_bounds(given: list[str]) -> dict[str, float]:
    """Return {column: bound} of texts such as "fare=0.2".

    Raises:
      ConfigError: one is none.
    """
    bounds: dict[str, float] = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            bounds[name] = float(text)
        except ValueError:
            raise ConfigError(f"--bound-of: '{each}' is no COLUMN=BOUND, such as fare=0.2.") from None
        if not name or not 0 <= bounds[name] <= 1:
            raise ConfigError(f"--bound-of: '{each}': a bound lies between 0 and 1.")
    return bounds


def _drift(options: DriftOptions) -> int:
    lean_imports.install()
    from pipeline.local.which_root import chosen_root
    from pipeline.predicting.planning import make_plan

    name = chosen_root(None, options.config).name  # which names the pipeline
    root = chosen_root(options.root, options.config).resolve()
    plan = make_plan(options.model or str(root), options.rows, kind=options.kind)
    if strange := sorted(set(options.bounds) - set(plan.model.columns)):
        raise ConfigError(
            f"--bound-of: the model reads no column {', '.join(strange)}. It reads {', '.join(plan.model.columns)}."
        )
    from pipeline.drift.known import known_of
    from pipeline.drift.reference import read_reference
    from pipeline.drift.rows import count

    trained_on, where = read_reference(options.reference, root)
    known = known_of(trained_on)
    if lost := [column for column in plan.model.columns if column not in known]:
        raise ConfigError(f"{where} says nothing of {', '.join(lost)}, which the model reads. Is it of another pipeline?")
    num_rows, counted = count(plan, known, _progress(options))
    report = report_of(name, known, counted, options)
    report |= {"examples": num_rows, "reference": where, "data": options.rows}
    if options.output:
        _write(options.output, to_json(report))
    if options.as_json:
        print(to_json(report))
    else:
        _show(report, options.output)
    return exit_codes.NOT_BLESSED if report["drifted"] else exit_codes.OK


def report_of(
    pipeline: str, known: Mapping[str, Known], counted: Mapping[str, Counted], options: DriftOptions
) -> dict[str, Any]:
    """Return the report but for where its numbers come from: the columns, the worst first."""
    from pipeline.drift.measuring import distances

    features = [
        _feature(name, distances(known[name], new), options.bounds.get(name, options.bound)) for name, new in counted.items()
    ]
    features.sort(key=lambda each: (-each["drifted"], -each["distance"], each["name"]))
    return {
        "schema_version": 1,
        "pipeline": pipeline,
        "created": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "drifted": any(each["drifted"] for each in features),
        "features": features,
    }


def _feature(name: str, found: list[Distance], bound: float) -> dict[str, Any]:
    """Return what the report says of a column: the measure that is furthest over what it may be, and all of them."""
    worst = max(found, key=lambda each: each.value - max(bound, each.floor))
    return {
        "name": name,
        "measure": worst.measure,
        "distance": round(worst.value, 6),
        "bound": bound,
        "floor": round(worst.floor, 6),
        "drifted": worst.is_over(bound),
        "measures": {each.measure: {"distance": round(each.value, 6), "floor": round(each.floor, 6)} for each in found},
    }


def _write(output: str, text: str) -> None:
    """Write the report as a whole, or not at all: a function may be waiting for it."""
    from tfx.dsl.io import fileio

    if "://" in output:  # an object is there when it is written to its end
        with fileio.open(output, "w") as file:
            file.write(text)
        return
    path = Path(output)
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, "utf-8")
    scratch.replace(path)


def _progress(options: DriftOptions) -> Any:
    if options.as_json or not sys.stderr.isatty():
        return lambda num_rows: None
    return lambda num_rows: print(f"\r{num_rows:,} rows", end="", file=sys.stderr, flush=True)


def _show(report: Mapping[str, Any], output: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    if sys.stderr.isatty():
        print(file=sys.stderr)  # below the progress
    table = Table("column", "measure", "distance", "bound", "by chance", "", title="Drift", title_justify="left")
    for each in report["features"]:
        table.add_row(
            each["name"],
            each["measure"].replace("_", " "),
            f"{each['distance']:.4f}",
            f"{each['bound']:g}",
            f"{each['floor']:.4f}",
            "drifted" if each["drifted"] else "",
        )
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    drifted = [each["name"] for each in report["features"] if each["drifted"]]
    blind = [each["name"] for each in report["features"] if each["floor"] > each["bound"] and not each["drifted"]]
    if blind:
        console.print(
            f"{report['examples']:,} rows are too few to tell a distance of the bound from chance for {', '.join(blind)}."
        )
    said = f"Drifted: {', '.join(drifted)}." if drifted else "Nothing has drifted."
    console.print(f"{said} {report['examples']:,} rows compared with {report['reference']}.", soft_wrap=True)
    if output:
        console.print(f"report: {output}", soft_wrap=True)
