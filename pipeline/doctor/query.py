"""The query of a BigQuery config: a dry run says whether it is right, what it returns, and how much it reads, at no cost."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.doctor.cloud import member, unreachable_is_told
from pipeline.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from pipeline.doctor.cloud import Answer
    from pipeline.doctor.subject import Subject

# What TFX makes tf.Examples of, by the names that the API gives types; others end BigQueryExampleGen.
_NUMBERS = ("INTEGER", "FLOAT", "BOOLEAN")
_READABLE = (*_NUMBERS, "STRING")
# Of 403: https://cloud.google.com/bigquery/docs/error-messages
_TOO_MANY = ("quotaExceeded", "rateLimitExceeded")


@unreachable_is_told("query")
def check_query(subject: Subject) -> Iterator[Finding]:
    """Ask BigQuery to plan the query, if the config has one."""
    from pipeline.data_config import BigQueryData

    config, project = subject.config_or_none(), project_of_query(subject)
    if config is None or not isinstance(config.data, BigQueryData):
        return
    answer = _plan(subject, project, config.data.query)
    if answer.status == 403 and not _is_too_much(answer):
        grant = f"gcloud projects add-iam-policy-binding {project} --member={member(subject.cloud.account)} --role="
        yield problem(
            "query",
            f"{subject.cloud.account} may not run it: {answer.message}.",
            answer.cure(f"{grant}roles/bigquery.jobUser; and roles/bigquery.dataViewer on the tables."),
        )
    elif answer.status in (400, 404):  # 404: of a table, a dataset or a project that it names
        yield problem("query", f"BigQuery does not take it: {answer.message}.", f"Correct data.query in {subject.config}.")
    elif answer.status != 200:
        yield warning("query", f"It cannot be planned: {answer.message}.", "Look again in a minute.")
    elif _may_end_in_comment(config.data.query) and (said := _refusal_in_parentheses(subject, project, config.data.query)):
        found = f"BigQuery takes it, but not in parentheses, where TFX puts it: {said}."
        yield problem("query", found, "End data.query with a line break, or without the comment.")
    else:
        cure = f"Correct data.query in {subject.config}."
        yield from _judge(config, config.data.query, answer.document.get("statistics", {}), cure)


def _plan(subject: Subject, project: str | None, query: str) -> Answer:
    return subject.cloud.ask(
        "POST",
        f"{subject.endpoints.bigquery}/bigquery/v2/projects/{project}/jobs",
        body={"configuration": {"dryRun": True, "query": {"query": query, "useLegacySql": False}}},
    )


def _may_end_in_comment(query: str) -> bool:
    """Tell whether a closing parenthesis behind a query could be part of a comment: BigQuery knows, and is asked then."""
    last = query.rpartition("\n")[2]
    return "--" in last or "#" in last


def _refusal_in_parentheses(subject: Subject, project: str | None, query: str) -> str | None:
    answer = _plan(subject, project, f"SELECT * FROM ({query}) LIMIT 0")
    return answer.message if answer.status == 400 else None


def project_of_query(subject: Subject) -> str | None:
    """Return the project that a query runs in and that pays for it; None without a query."""
    from pipeline.data_config import BigQueryData

    config = subject.config_or_none()
    if config is None or not isinstance(config.data, BigQueryData):
        return None
    return config.data.project or subject.vertex.project


def _is_too_much(answer: Answer) -> bool:
    errors = (answer.document.get("error") or {}).get("errors", ())
    return any(error.get("reason") in _TOO_MANY for error in errors)


def _judge(config: PipelineConfig, query: str, statistics: Mapping[str, Any], cure: str) -> Iterator[Finding]:
    fields = {field["name"]: field for field in statistics.get("query", {}).get("schema", {}).get("fields", ())}
    wrong = [
        *_unwrappable(query, statistics),
        *_lost(config.columns, fields),
        *_unreadable(fields),
        *_no_numbers(config.number_columns, fields),
    ]
    for text in wrong:
        yield problem("query", text, cure)
    if not wrong:
        size = int(statistics.get("totalBytesProcessed", 0))
        yield ok("query", f"it returns the {len(config.columns)} columns that the config names, and reads {size / 1e9:.3g} GB")


def _unwrappable(query: str, statistics: Mapping[str, Any]) -> Iterator[str]:
    """Tell what BigQuery takes, but not in `SELECT * FROM (QUERY)`, as TFX runs it to learn its types."""
    kind = statistics.get("query", {}).get("statementType", "SELECT")
    if kind != "SELECT":
        yield f"It is a {kind}, and TFX puts it in parentheses: it has to be one SELECT."
    elif query.rstrip().endswith(";"):
        yield "It ends with a semicolon, and TFX puts it in parentheses. Leave the semicolon out."


def _lost(columns: list[str], fields: Mapping[str, Any]) -> Iterator[str]:
    for column in columns:
        if column not in fields:
            near = difflib.get_close_matches(column, fields, n=1)
            yield f"It returns no column '{column}'.{f' Is it {near[0]}?' if near else ''}"


def _unreadable(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, field in fields.items():
        if field["type"] not in _READABLE or field.get("mode") == "REPEATED":
            kind = "several values" if field.get("mode") == "REPEATED" else field["type"]
            yield f"Column '{name}' is of {kind}, which ExampleGen does not read. Cast it, or leave it out."


def _no_numbers(numbers: Mapping[str, str], fields: Mapping[str, Any]) -> Iterator[str]:
    for name, use in numbers.items():
        if name in fields and fields[name]["type"] not in _NUMBERS and fields[name]["type"] in _READABLE:
            yield f"Column '{name}' is of {fields[name]['type']}, but the config uses it as a number ({use}). Cast it."
