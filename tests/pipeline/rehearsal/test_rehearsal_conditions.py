"""Conditions of tasks, in the part of CEL that compilers emit."""

from __future__ import annotations

import pytest

from pipeline.vertex.rehearsal.conditions import holds
from pipeline.vertex.rehearsal.errors import TaskFailedError

INPUTS = {
    "artifacts": {"model": {"artifacts": [{"uri": "gs://b/m", "metadata": {"blessed": 1.0, "auc": 0.9, "name": "it's"}}]}},
    "parameter_values": {"count": 3.0, "flag": True, "names": ["a", "b"]},
}
METADATA = "inputs.artifacts['model'].artifacts[0].metadata"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"{METADATA}['blessed'] == 1", True),
        (f"{METADATA}['blessed'] == 1.0", True),
        (f"{METADATA}['blessed'] != 1", False),
        (f"{METADATA}['auc'] >= 0.9", True),
        (f"{METADATA}['auc'] > 0.9", False),
        (f"{METADATA}['auc'] < 9e-1", False),
        (f"{METADATA}['auc'] <= 0.95", True),
        (f"{METADATA}['name'] == 'it\\'s'", True),
        (f'{METADATA}["name"] == "it\'s"', True),
        ("inputs.parameter_values['flag']", True),
        ("!inputs.parameter_values['flag']", False),
        ("!(inputs.parameter_values['count'] == 4)", True),
        ("inputs.parameter_values['names'][1] == 'b'", True),
        ("int(inputs.parameter_values['count']) == 3", True),
        ("1 == 1 && 2 == 3", False),
        ("1 == 2 || 2 == 2", True),
        ("1 == 2 || 2 == 2 && 1 == 2", False),  # && binds closer
        ("(1 == 2 || 2 == 2) && 1 == 1", True),
        ("-1 < 0", True),
        ("true != false", True),
        ("inputs.parameter_values['flag'] == 1", False),  # not a number, as True is in Python
        # One side decides, whatever the other is.
        (f"{METADATA}['missing'] == 1 || true", True),
        (f"true || {METADATA}['missing'] == 1", True),
        (f"{METADATA}['missing'] == 1 && false", False),
    ],
)
def test_condition_holds_as_in_cel(expression: str, expected: bool) -> None:
    assert holds(expression, INPUTS) is expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (f"{METADATA}['missing'] == 1", "there is no 'missing', only blessed, auc, name."),
        (f"{METADATA}['missing'] == 1 && true", "there is no 'missing'"),
        ("inputs.artifacts['model'].artifacts[1].uri == ''", "there is no item 1 of 1."),
        ("inputs.parameter_values['count'] < 'a'", "3.0 < 'a' compares different types."),
        ("inputs.parameter_values['count'] && true", "3.0 is neither true nor false."),
        ("int('x') == 1", "'x' is no int."),
    ],
)
def test_condition_without_an_answer_is_a_failure(expression: str, reason: str) -> None:
    with pytest.raises(TaskFailedError) as error:
        holds(expression, INPUTS)
    assert reason in str(error.value)
    assert expression in str(error.value)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 == ", "a value was expected at its end"),
        ("(1 == 1", "')' was expected at its end"),
        ("1 == 1 2", "its end was expected at '2'"),
        ("outputs.x == 1", "there is no 'outputs', only 'inputs'"),
        ("1 === 1", "at '= 1'"),
        ("__import__('os').system('true')", "there is no '__import__'"),
        ("inputs.['x']", "a name was expected"),
    ],
)
def test_condition_that_cannot_be_read_is_refused_and_never_run(expression: str, reason: str) -> None:
    with pytest.raises(TaskFailedError) as error:
        holds(expression, INPUTS)
    assert reason in str(error.value)


def test_condition_that_is_no_truth_is_refused() -> None:
    with pytest.raises(TaskFailedError, match=r"is 3\.0; expected true or false"):
        holds("inputs.parameter_values['count']", INPUTS)
