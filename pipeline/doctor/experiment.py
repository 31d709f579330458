"""Whether a config can be read, and its data fit it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject


def check_config(subject: Subject) -> Iterator[Finding]:
    """Load the config."""
    try:
        config = subject.experiment
    except ConfigError as error:
        yield problem("config", str(error), f"Correct {subject.config}; docs/configuration.md has every key.")
        return
    yield ok(
        "config", f"{subject.config}: {config.name}, {config.task}, {len(config.features)} features, {len(config.gates)} gates"
    )


def check_data(subject: Subject) -> Iterator[Finding]:
    """Look at the files and their columns, then at the first rows as ExampleGen would."""
    from pipeline.data_config import BigQueryData
    from pipeline.local import preflight

    config = subject.experiment
    if isinstance(config.data, BigQueryData):
        yield ok("data", "a query: its rows are known when ExampleGen runs it")
        return
    cure = f"Correct {subject.config}, or the data; docs/data.md says what can be read."
    try:
        preflight.check_data(config)
    except ConfigError as error:
        yield problem("data", str(error), cure)
        return
    yield ok("data", f"{config.data.path} has the {len(config.columns)} columns that the config names")
    rows = subject.rows
    if rows.error and rows.is_all:
        yield problem("data", rows.error, "ExampleGen will fail with this. " + cure)
    elif rows.error:
        yield warning("data", f"In the first {rows.num_rows:,} rows: {rows.error}", "All rows together may be better. " + cure)
    elif rows.report:
        which = f"{rows.num_rows:,} rows" if rows.is_all else f"the first {rows.num_rows:,} rows"
        counts = ", ".join(f"{count:,} {side}" for side, count in rows.report.examples.items())
        aside = f", {rows.report.num_quarantined:,} unusable and set aside" if rows.report.num_quarantined else ""
        yield ok("data", f"{which}: {counts}{aside}")
