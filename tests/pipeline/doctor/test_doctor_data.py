"""What the doctor says of a config, its data, and a schema that does not fit them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.doctor import checks
from pipeline.doctor.findings import Finding
from pipeline.doctor.schema_lines import SchemaLines
from pipeline.doctor.subject import Subject

ROWS = [f"{1.5 + i},{'ab'[i % 2]},{i % 2}" for i in range(60)]
# Line 1 of the file is the first one here.
SCHEMA = """\
feature {
  name: "fare"
  type: FLOAT
  float_domain { min: 0 max: 100 }
  presence { min_count: 1 min_fraction: 1.0 }
}
feature {
  name: "company"
  type: BYTES
  domain: "company"
  value_count { min: 1 max: 1 }
  presence { min_count: 1 min_fraction: 0.9 }
}
feature { name: "tipped" type: INT int_domain { min: 0 max: 1 } presence { min_count: 1 } }
string_domain {
  name: "company"
  value: "a"
  value: "b"
}
"""
VALUES = {
    "name": "mini",
    "task": "tabular",
    "data": {"path": "data.csv"},
    "schema_file": "schema.pbtxt",
    "label": {"kind": "binary", "column": "tipped"},
    "features": {"fare": {"kind": "numeric"}, "company": {"kind": "categorical"}},
    "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
}
Diagnose = Callable[..., list[Finding]]


@pytest.fixture
def diagnose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Diagnose]:
    """Write a config, its data and its schema, and make the checks of all three."""
    monkeypatch.chdir(tmp_path)

    def write_and_look(
        rows: list[str] = ROWS,
        schema: str = SCHEMA,
        header: str = "fare,company,tipped",
        max_rows: int = 100_000,
        **sections: Any,
    ) -> list[Finding]:
        values = copy.deepcopy(VALUES) | sections
        Path("mini.yaml").write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
        Path("data.csv").write_text("\n".join([header, *rows]) + "\n")
        Path("schema.pbtxt").write_text(schema)
        subject = Subject(config=Path("mini.yaml"), max_rows=max_rows)
        return [finding for name in ("config", "data", "schema") for finding in look(name, subject)]

    def look(name: str, subject: Subject) -> list[Finding]:
        return [*checks.CHECKS[name].look(subject)]

    return write_and_look


def bad(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.state != "ok"]


def test_a_config_with_data_and_schema_that_fit(diagnose: Diagnose) -> None:
    found = diagnose()
    assert [(finding.check, finding.state) for finding in found] == [
        (name, "ok") for name in ("config", "data", "data", "schema")
    ]
    assert found[0].found == "mini.yaml: mini, tabular, 2 features, 1 gates"
    assert found[1].found == "data.csv has the 3 columns that the config names"
    assert found[2].found.startswith("60 rows: ")
    assert found[3].found == "schema.pbtxt fits all 60 rows; it has 3 columns"


def test_without_a_schema_file_there_is_nothing_to_compare(diagnose: Diagnose) -> None:
    found = diagnose(schema_file=None)
    assert found[-1] == Finding("schema", "ok", "the config names none: one is inferred from the data, and fits them")


def test_all_mistakes_of_a_config_are_told_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(VALUES | {"task": "tabullar", "fitt": {}, "schema_file": None}))
    (found,) = checks.CHECKS["config"].look(Subject(config=path))
    assert (found.check, found.state) == ("config", "problem")
    assert "task: unknown task 'tabullar'. Expected one of: tabular" in found.found
    assert "fitt: unknown key 'fitt'. Did you mean 'fit'?" in found.found
    assert found.cure == f"Correct {path}; docs/configuration.md has every key."


def test_a_config_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    (found,) = checks.CHECKS["config"].look(Subject(config=tmp_path / "none.yaml"))
    assert (found.state, found.found) == ("problem", f"{tmp_path}/none.yaml does not exist.")


def test_data_that_are_not_there_are_a_problem(diagnose: Diagnose) -> None:
    found = next(finding for finding in diagnose(data={"path": "other.csv"}, schema_file=None) if finding.check == "data")
    assert found.found == "data.path: other.csv does not exist."
    assert found.cure == "Correct mini.yaml, or the data; docs/data.md says what can be read."


def test_a_column_that_the_data_lack_is_a_problem(diagnose: Diagnose) -> None:
    found = bad(diagnose(features={"fares": {"kind": "numeric"}}, schema_file=None))
    assert [(finding.check, finding.state) for finding in found] == [("data", "problem")]
    assert found[0].found == (
        "features.fares: column 'fares' is not in data.csv. Did you mean 'fare'?\nIts columns: fare, company, tipped."
    )


def test_rows_that_example_gen_refuses_are_a_problem(diagnose: Diagnose) -> None:
    (found,) = bad(diagnose([*ROWS, "many,a,1"], schema_file=None))
    assert (found.check, found.state) == ("data", "problem")
    assert found.found.startswith("1 of 61 rows cannot be used (1.6%); `data.max_bad_rows` allows 0.1%. data.csv row 62: ")
    assert found.cure.startswith("ExampleGen will fail with this. Correct mini.yaml, or the data;")


def test_rows_that_are_set_aside_are_counted(diagnose: Diagnose) -> None:
    found = diagnose([*ROWS, "many,a,1"], data={"path": "data.csv", "max_bad_rows": 0.1}, schema_file=None)
    assert bad(found) == []
    assert found[2].found.startswith("61 rows: ")
    assert found[2].found.endswith(" eval, 1 unusable and set aside")


def test_a_label_of_one_value_is_a_problem(diagnose: Diagnose) -> None:
    (found,) = bad(diagnose([row[:-1] + "1" for row in ROWS], schema_file=None))
    assert (found.check, found.state) == ("data", "problem")
    assert "tipped" in found.found


def test_a_schema_that_cannot_be_parsed_names_the_line(diagnose: Diagnose) -> None:
    (found,) = bad(diagnose(schema=SCHEMA.replace("type: FLOAT", "type: FLOATING")))
    assert (found.check, found.state) == ("schema", "problem")
    assert found.found.startswith("schema.pbtxt is no schema: line 3:")
    assert "FLOATING" in found.found
    assert found.cure == "Correct that line; configs/taxi_schema.pbtxt shows the form."


def test_a_column_of_the_config_that_the_schema_lacks_is_a_problem_once(diagnose: Diagnose) -> None:
    found, other = bad(diagnose(schema=SCHEMA.replace('name: "fare"', 'name: "fair"')))
    assert other.found.startswith("column 'fair': Column dropped")
    assert found == Finding(
        "schema",
        "problem",
        "column 'fare', which the config names, is not in schema.pbtxt.",
        "Describe it in schema.pbtxt, after line 14: feature { name: \"fare\" type: ... }. Is it the 'fair' of line 2?",
    )


@pytest.mark.parametrize(
    ("before", "after", "found", "cure"),
    [
        (
            "max: 100",
            "max: 20",
            "column 'fare': Out-of-range values (train and eval): Unexpectedly high value",
            "line 4: raise `max`",
        ),
        ("min: 0 max: 100", "min: 9 max: 100", "column 'fare': Out-of-range values (", "line 4: lower `min`"),
        ('  value: "b"\n', "", "column 'company': Unexpected string values (train and eval): ", "line 17: add the values"),
        ("type: FLOAT", "type: BYTES", "column 'fare': ", "line 3: change it"),
        ("max: 1 } presence", "max: 0 } presence", "column 'tipped': Out-of-range values (", "line 14: raise `max`"),
    ],
)
def test_values_that_do_not_fit_name_the_line_that_says_otherwise(
    diagnose: Diagnose, before: str, after: str, found: str, cure: str
) -> None:
    assert SCHEMA.count(before) == 1
    first, *_ = bad(diagnose(schema=SCHEMA.replace(before, after)))
    assert (first.check, first.state) == ("schema", "problem")
    assert first.found.startswith(found)
    assert first.cure == f"Mend the data; or, if they are right, in schema.pbtxt {cure}."


def test_values_that_are_missing_too_often_name_the_line_of_presence(diagnose: Diagnose) -> None:
    (found,) = bad(diagnose([row.replace("a", "") if i < 30 else row for i, row in enumerate(ROWS)]))
    assert found.state == "problem"
    assert found.found.startswith(
        "column 'company': Column dropped (train and eval): The feature was present in fewer examples"
    )
    assert found.cure == "Mend the data; or, if they are right, in schema.pbtxt line 12: lower `min_fraction`."


def test_columns_that_only_one_of_data_and_schema_has(diagnose: Diagnose) -> None:
    rows = [f"{row},x" for row in ROWS]
    (new,) = bad(diagnose(rows, header="fare,company,tipped,city"))
    assert new.found.startswith("column 'city': New column (train and eval): ")
    assert new.cure == 'Describe it in schema.pbtxt, after line 14: feature { name: "city" type: ... }.'
    more = SCHEMA + 'feature {\n  name: "city"\n  type: BYTES\n  presence { min_count: 1 }\n}\n'
    (gone,) = bad(diagnose(schema=more))
    assert gone.found.startswith("column 'city': Column dropped (train and eval): ")
    assert gone.cure.startswith("Mend the data; or, if they are right, in schema.pbtxt line 23: ")


def test_what_the_first_rows_cannot_show_is_a_warning(diagnose: Diagnose) -> None:
    """A value that is not allowed is one in all rows too; how often a value is missing there, nobody knows."""
    rows = [*(row.replace("a", "") for row in ROWS[:40]), *ROWS] * 300
    found = bad(diagnose(rows, schema=SCHEMA.replace("max: 100", "max: 20"), max_rows=100))
    assert [(finding.check, finding.state) for finding in found] == [("schema", "warning"), ("schema", "problem")]
    assert found[0].found.startswith("In the first 16,384 rows: column 'company': Column dropped")
    assert found[0].cure.startswith("All rows together may fit. Mend the data;")
    assert found[1].found.startswith("column 'fare': Out-of-range values (")
    (refused,) = bad(diagnose(["many,a,1"] * 50 + rows, schema_file=None, max_rows=100))
    assert (refused.check, refused.state) == ("data", "warning")
    assert refused.found.startswith("In the first 16,384 rows: 50 of 16384 rows cannot be used (0.3%)")


def test_the_taxi_schema_has_its_lines_found(repository: Path) -> None:
    text = (repository / "configs" / "taxi_schema.pbtxt").read_text()
    lines, numbered = SchemaLines(text), text.splitlines()
    assert numbered[(lines.line_of("fare", "float_domain") or 0) - 1].strip() == "float_domain { min: 0 max: 10000 }"
    assert numbered[(lines.line_of("payment_type", "string_domain") or 0) - 1].strip() == 'value: "Cash"'
    assert numbered[(lines.line_of("company", "string_domain") or 0) - 1].strip() == 'name: "company"'
    assert lines.line_of("no_such_column") is None
    assert lines.near("trip_second") == "trip_seconds"
    assert numbered[lines.end_of_features - 1] == "}"
    assert numbered[lines.end_of_features].startswith("string_domain")


def test_marks_in_strings_and_comments_are_no_marks_of_the_schema() -> None:
    text = 'feature { # a { in a comment\n  name: "a}{" # "\n  type: INT\n}\nfeature <\n  name: \'b\'\n>\n'
    lines = SchemaLines(text)
    assert (lines.line_of("a}{"), lines.line_of("a}{", "type"), lines.line_of("b")) == (2, 3, 6)
    assert lines.end_of_features == 7
