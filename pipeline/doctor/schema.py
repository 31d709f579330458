"""The schema file against the data: what ExampleValidator and DataGate would say, and which line of the file says otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.doctor.schema_lines import SchemaLines

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

    from pipeline.doctor.rows import Rows
    from pipeline.doctor.subject import Subject

# Which line of a column's section speaks of an anomaly, by how the anomaly's name in anomalies.proto begins.
_LINES: Mapping[str, tuple[str, str]] = {
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": ("string_domain", "add the values"),
    "FLOAT_TYPE_BIG_FLOAT": ("float_domain", "raise `max`"),
    "FLOAT_TYPE_SMALL_FLOAT": ("float_domain", "lower `min`"),
    "INT_TYPE_BIG_INT": ("int_domain", "raise `max`"),
    "INT_TYPE_SMALL_INT": ("int_domain", "lower `min`"),
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": ("presence", "lower `min_fraction`"),
    "FEATURE_TYPE_LOW_NUMBER_PRESENT": ("presence", "lower `min_count`"),
    "FEATURE_TYPE_NOT_PRESENT": ("presence", "lower `min_count` and `min_fraction`"),
    "SCHEMA_MISSING_COLUMN": ("presence", "remove it, or lower `min_count` and `min_fraction`"),
    "FEATURE_TYPE_HIGH_NUMBER_VALUES": ("value_count", "raise `max`"),
    "FEATURE_TYPE_LOW_NUMBER_VALUES": ("value_count", "lower `min`"),
    "UNEXPECTED_DATA_TYPE": ("type", "change it"),
}
_ANY_LINE = ("name", "see this column's section")
# What a few rows show is so of all of them; how often something is there, or whether a whole column is of integers, is not.
_SHOWN_BY_FEW = ("ENUM_TYPE_UNEXPECTED", "FLOAT_TYPE_BIG", "FLOAT_TYPE_SMALL", "INT_TYPE_BIG", "INT_TYPE_SMALL", "SCHEMA_NEW")


def check_schema(subject: Subject) -> Iterator[Finding]:
    """Read the schema file and hold the first rows to it."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    config = subject.experiment
    if config.schema_file is None:
        yield ok("schema", "the config names none: one is inferred from the data, and fits them")
        return
    path = Path(config.schema_file)
    text = path.read_text("utf-8")
    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        yield problem(
            "schema", f"{path} is no schema: line {error}", "Correct that line; configs/taxi_schema.pbtxt shows the form."
        )
        return
    lines = SchemaLines(text)
    described = {feature.name for feature in schema.feature}
    if lost := [column for column in config.columns if column not in described]:
        for column in lost:
            yield problem(
                "schema", f"column '{column}', which the config names, is not in {path}.", _addition(path, lines, column)
            )
    if not subject.rows.statistics:
        return
    anomalies = [*_judge_rows(subject.rows, schema, path, lines, lost)]
    yield from anomalies
    if not anomalies and not lost:
        which = "all" if subject.rows.is_all else "the first"
        yield ok("schema", f"{path.name} fits {which} {subject.rows.num_rows:,} rows; it has {len(described)} columns")


def _judge_rows(rows: Rows, schema: schema_pb2.Schema, path: Path, lines: SchemaLines, known: list[str]) -> Iterator[Finding]:
    """Yield a finding for each column and reason, whichever splits they are in; nothing of columns that are known to lack."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from pipeline.components.example_validator_executor import validate

    seen: dict[tuple[str, str], tuple[list[str], anomalies_pb2.AnomalyInfo.Reason]] = {}
    for side, statistics in rows.statistics.items():
        found = validate(statistics, schema)
        for column, info in found.anomaly_info.items():
            for reason in info.reason:
                name = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
                seen.setdefault((column, name), ([], reason))[0].append(side)
        for reason in found.dataset_anomaly_info.reason:
            seen.setdefault(("", anomalies_pb2.AnomalyInfo.Type.Name(reason.type)), ([], reason))[0].append(side)
    for (column, name), (sides, reason) in sorted(seen.items()):
        if column not in known:
            yield _finding(rows, path, lines, (column, name), sides, reason)


def _finding(
    rows: Rows,
    path: Path,
    lines: SchemaLines,
    key: tuple[str, str],
    sides: list[str],
    reason: anomalies_pb2.AnomalyInfo.Reason,
) -> Finding:
    column, name = key
    where = f"column '{column}': " if column else ""
    found = f"{where}{reason.short_description} ({' and '.join(sides)}): {reason.description}".rstrip(". ") + "."
    if name == "SCHEMA_NEW_COLUMN":
        cure = _addition(path, lines, column)
    else:
        keyword, change = _LINES.get(name, _ANY_LINE)
        line = lines.line_of(column, keyword)
        place = f"{path} line {line}" if line else str(path)
        cure = f"Mend the data; or, if they are right, in {place}: {change}."
    if rows.is_all or name.startswith(_SHOWN_BY_FEW):
        return problem("schema", found, cure)
    return warning("schema", f"In the first {rows.num_rows:,} rows: {found}", f"All rows together may fit. {cure}")


def _addition(path: Path, lines: SchemaLines, column: str) -> str:
    near = lines.near(column)
    hint = f" Is it the '{near}' of line {lines.line_of(near)}?" if near else ""
    return f'Describe it in {path}, after line {lines.end_of_features}: feature {{ name: "{column}" type: ... }}.{hint}'
