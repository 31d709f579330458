"""What the doctor says of a BigQuery query, and what BigQuery's own client makes of the same answers for ExampleGen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud_set_up import look
from fake_google import ACCOUNT, FakeGoogle, error

JOBS = "POST /bigquery/v2/projects/my-project/jobs"
TYPES = {"fare": "FLOAT", "payment": "STRING", "tipped": "INTEGER", "big": "BOOLEAN"}

TOO_MANY = (403, {"error": {"message": "Exceeded rate limits.", "errors": [{"reason": "rateLimitExceeded"}]}})


def planned(types: dict[str, str], size: int = 2_500_000_000, **fields: Any) -> tuple[int, dict[str, Any]]:
    schema = [{"name": name, "type": kind, "mode": "NULLABLE"} | fields for name, kind in types.items()]
    return 200, {"statistics": {"totalBytesProcessed": str(size), "query": {"schema": {"fields": schema}}}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    values = {
        "name": "small",
        "task": "tabular",
        "data": {"kind": "bigquery", "query": "SELECT * FROM rides.today"},
        "label": {"kind": "binary", "column": "tipped", "positive": 1},
        "features": {"fare": {"kind": "numeric"}, "payment": {"kind": "categorical"}},
        "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_query_is_planned_and_not_run(google: FakeGoogle, tmp_path: Path, config: Path) -> None:
    google.answers[JOBS] = planned(TYPES)
    (found,) = look(google, tmp_path, "query", config=config)
    assert (found.state, found.found) == ("ok", "it returns the 3 columns that the config names, and reads 2.5 GB")
    assert google.bodies == [
        {"configuration": {"dryRun": True, "query": {"query": "SELECT * FROM rides.today", "useLegacySql": False}}}
    ]


def test_what_it_returns_is_held_to_the_config(google: FakeGoogle, tmp_path: Path, config: Path) -> None:
    google.answers[JOBS] = planned({"fares": "FLOAT", "payment": "STRING", "tipped": "INTEGER", "at": "TIMESTAMP"})
    assert [finding.found for finding in look(google, tmp_path, "query", config=config)] == [
        "It returns no column 'fare'. Is it fares?",
        "Column 'at' is of TIMESTAMP, which ExampleGen does not read. Cast it, or leave it out.",
    ]
    google.answers[JOBS] = planned(TYPES | {"fare": "STRING"})
    (found,) = look(google, tmp_path, "query", config=config)
    assert found.found == "Column 'fare' is of STRING, but the config uses it as a number (numeric). Cast it."
    google.answers[JOBS] = planned({"fare": "FLOAT", "payment": "STRING", "tipped": "INTEGER"}, mode="REPEATED")
    assert all("is of several values" in finding.found for finding in look(google, tmp_path, "query", config=config))


def test_query_that_tfx_cannot_put_in_parentheses(google: FakeGoogle, tmp_path: Path, config: Path) -> None:
    google.answers[JOBS] = planned(TYPES)
    config.write_text(config.read_text().replace("rides.today", "rides.today;"))
    (found,) = look(google, tmp_path, "query", config=config)
    assert (found.state, found.found) == (
        "problem",
        "It ends with a semicolon, and TFX puts it in parentheses. Leave the semicolon out.",
    )
    google.answers[JOBS][1]["statistics"]["query"]["statementType"] = "SCRIPT"
    (found,) = look(google, tmp_path, "query", config=config)
    assert found.found == "It is a SCRIPT, and TFX puts it in parentheses: it has to be one SELECT."


def test_comment_at_the_end_hides_the_parenthesis(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: Path
) -> None:
    def as_bigquery_does(method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        answer = plain(method, target, headers, body)
        is_hidden = b"SELECT * FROM (SELECT" in body and rb"\n) LIMIT 0" not in body
        return error(400, 'Syntax error: Expected ")" but got end of script') if is_hidden else answer

    plain = google.answer
    monkeypatch.setattr(google, "answer", as_bigquery_does)
    google.answers[JOBS] = planned(TYPES)
    values = yaml.safe_load(config.read_text())
    values["data"]["query"] += " -- of today"
    config.write_text(yaml.safe_dump(values))
    (found,) = look(google, tmp_path, "query", config=config)
    assert (found.state, found.found) == (
        "problem",
        'BigQuery takes it, but not in parentheses, where TFX puts it: HTTP 400: Syntax error: Expected ")" but got end of '
        "script.",
    )
    asked = google.bodies[-1]["configuration"]
    assert asked["dryRun"]
    assert asked["query"]["query"] == "SELECT * FROM (SELECT * FROM rides.today -- of today) LIMIT 0"
    values["data"]["query"] += "\n"
    config.write_text(yaml.safe_dump(values))
    assert [each.state for each in look(google, tmp_path, "query", config=config)] == ["ok"]


def test_types_by_names_that_tfx_does_not_know_are_problems(google: FakeGoogle, tmp_path: Path, config: Path) -> None:
    google.answers[JOBS] = planned(TYPES | {"fare": "FLOAT64"})
    (found,) = look(google, tmp_path, "query", config=config)
    assert found.found == "Column 'fare' is of FLOAT64, which ExampleGen does not read. Cast it, or leave it out."


@pytest.mark.parametrize(
    ("answer", "state", "said", "cure"),
    [
        (error(400, "Unrecognized name: fara at [1:8]"), "problem", "Unrecognized name: fara at [1:8]", "Correct data.query"),
        (error(404, "Not found: Table my-project:rides.today"), "problem", "Not found: Table", "Correct data.query"),
        (error(403, "Access Denied."), "problem", f"{ACCOUNT} may not run it", "--role=roles/bigquery.jobUser"),
        (error(503, "Backend error."), "warning", "HTTP 503: Backend error.", "in a minute"),
        (TOO_MANY, "warning", "HTTP 403: Exceeded rate limits.", "in a minute"),
    ],
)
def test_refusals(google: FakeGoogle, tmp_path: Path, config: Path, answer: Any, state: str, said: str, cure: str) -> None:
    google.answers[JOBS] = answer
    (found,) = look(google, tmp_path, "query", config=config)
    assert found.state == state
    assert said in found.found
    assert cure in found.cure


def test_config_of_files_asks_nobody(google: FakeGoogle, tmp_path: Path, repository: Path) -> None:
    assert look(google, tmp_path, "query", config=repository / "configs" / "taxi.yaml") == []
    assert google.requests == []


def test_example_gen_makes_examples_by_the_types_that_the_service_tells(
    google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What TFX's own executor asks Google's client for; test_bigquery_export.py has the rest."""
    from tfx.extensions.google_cloud_big_query.example_gen.executor import _BigQueryConverter

    reference = {"projectId": "my-project", "jobId": "1", "location": "EU"}
    schema = {"fields": [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in TYPES.items()]}
    result = {"jobComplete": True, "schema": schema, "totalRows": "0", "rows": [], "jobReference": reference}
    google.answers[JOBS] = (
        200,
        {
            "jobReference": reference,
            "status": {"state": "DONE"},
            "configuration": {"query": {"query": "q"}, "jobType": "QUERY"},
            "statistics": {"query": {}},
        },
    )
    for path in ("/bigquery/v2/projects/my-project/queries/1", "/bigquery/v2/projects/my-project/jobs/1"):
        google.answers[f"GET {path}"] = (200, google.answers[JOBS][1] | result)
    google.answers["POST /bigquery/v2/projects/my-project/queries"] = (200, result)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", google.url)
    converter = _BigQueryConverter("SELECT * FROM rides.today", "my-project")
    assert converter._type_map == TYPES
    asked = next(body for body in google.bodies if body)
    text = asked.get("query") or asked["configuration"]["query"]["query"]
    assert "SELECT * FROM rides.today" in str(text)
    example = converter.RowToExample({"fare": 12.5, "payment": "cash", "tipped": 1, "big": None})
    features = example.features.feature
    assert list(features["fare"].float_list.value) == [12.5]
    assert list(features["payment"].bytes_list.value) == [b"cash"]
    assert list(features["tipped"].int64_list.value) == [1]
    assert features["big"].WhichOneof("kind") is None
