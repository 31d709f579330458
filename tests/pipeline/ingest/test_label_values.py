"""Which labels can be learned, by the values they have."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingested_csv import BINARY, GOOD, REGRESSION, error_of, run

from pipeline.ingest.label_values import MAX_CLASSES
from preprocessing.features import BinaryLabel, Label, MulticlassLabel


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        ("x,y\n1,1\n2,1\n3,1\n", BINARY, "The label 'y' has only one value: '1'. There is nothing to learn."),
        ("x,y\n1,5\n2,5\n", REGRESSION, "The label 'y' has only one value: '5'. There is nothing to learn."),
        (
            f"x,y\n{GOOD}1,2\n",
            BINARY,
            "The label 'y' is binary but has 3 values: '0', '1', '2'. Set `label.kind: multiclass`.",
        ),
        (
            "x,y\n" + "".join(f"{i},c{i}\n" for i in range(8)),
            BINARY,
            "The label 'y' is binary but has 8 values: 'c0', 'c1', 'c2', 'c3', 'c4', .... Set `label.kind: multiclass`.",
        ),
        (
            f"x,y\n{GOOD}",
            BinaryLabel(kind="binary", column="y", positive="yes"),
            "The label 'y' is never 'yes' but '0', '1'. Set `label.positive` to one of them.",
        ),
        (
            "x,y\n" + "".join(f"{i},c{i}\n" for i in range(MAX_CLASSES + 1)),
            MulticlassLabel(kind="multiclass", column="y"),
            "The label 'y' has over 1000 classes. Is it a number? Then set `label.kind: regression`.",
        ),
        (f"x,z\n{GOOD}", BINARY, "{file} has no column 'y', the label. Its columns: x, z."),
    ],
)
def test_a_label_that_cannot_be_learned_is_refused(tmp_path: Path, content: str, label: Label, message: str):
    assert error_of(content, folder=tmp_path, label=label) == message.format(file=tmp_path / "data-0.csv")


def test_as_many_classes_as_allowed_can_be_learned(tmp_path: Path):
    content = "x,y\n" + "".join(f"{i},c{i}\n" for i in range(MAX_CLASSES))
    report, _ = run(content, folder=tmp_path, label=MulticlassLabel(kind="multiclass", column="y"))
    assert sum(report.examples.values()) == MAX_CLASSES


@pytest.mark.parametrize(("positive", "found"), [(1, ("0.0", "1.0")), ("yes", ("no", "yes")), ("1", ("0", "1"))])
def test_a_positive_value_may_be_written_in_several_ways(tmp_path: Path, positive: int | str, found: tuple[str, str]):
    label = BinaryLabel(kind="binary", column="y", positive=positive)
    report, _ = run("x,y\n" + "".join(f"{i},{found[i % 2]}\n" for i in range(12)), folder=tmp_path, label=label)
    assert sum(report.examples.values()) == 12


def test_negative_value_that_never_occurs_is_an_error(tmp_path: Path):
    label = BinaryLabel(kind="binary", column="y", positive="yes", negative="nope")
    text = error_of("x,y\n" + "".join(f"{i},{'yes' if i % 2 else 'no'}\n" for i in range(12)), folder=tmp_path, label=label)
    assert text == "The label 'y' is never 'nope' but 'no', 'yes'. Set `label.negative` to one of them."
