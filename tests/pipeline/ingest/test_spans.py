"""Which span a path means: the one that TFX's driver will read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tfx.components.example_gen.input_processor import FileBasedInputProcessor
from tfx.proto import example_gen_pb2, range_config_pb2

from pipeline.errors import DataError
from pipeline.ingest.source import base_and_pattern
from pipeline.ingest.spans import resolve_span


def touch(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def by_tfx(base: str, pattern: str, span: int | None) -> tuple[int, int | None, str]:
    splits = [example_gen_pb2.Input.Split(name="all", pattern=pattern)]
    one = range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    processor = FileBasedInputProcessor(base, splits, None if span is None else range_config_pb2.RangeConfig(static_range=one))
    number, version = processor.resolve_span_and_version()
    return number, version, processor.get_pattern_for_span_version(pattern, number, version)


@pytest.mark.parametrize(
    ("path", "files", "span", "expected"),
    [
        ("span-{SPAN}/*.csv", ["span-1/a.csv", "span-9/a.csv", "span-10/a.csv"], None, (10, None, "span-10/*.csv")),
        ("span-{SPAN}/*.csv", ["span-1/a.csv", "span-9/a.csv", "span-10/a.csv"], 9, (9, None, "span-9/*.csv")),
        ("span-{SPAN:3}/*.csv", ["span-007/a.csv", "span-012/a.csv"], None, (12, None, "span-012/*.csv")),
        ("span-{SPAN:3}/*.csv", ["span-007/a.csv", "span-012/a.csv"], 7, (7, None, "span-007/*.csv")),
        ("{YYYY}-{MM}-{DD}/?.csv", ["2023-12-31/a.csv", "2024-01-01/a.csv"], None, (19723, None, "2024-01-01/?.csv")),
        ("{YYYY}{MM}{DD}.csv", ["20231231.csv", "20240101.csv"], 19722, (19722, None, "20231231.csv")),
        ("s{SPAN}/v{VERSION}/*", ["s1/v9/a", "s2/v1/a", "s2/v10/a", "s2/v9/a"], None, (2, 10, "s2/v10/*")),
        ("s{SPAN}/v{VERSION:2}/*", ["s1/v09/a", "s2/v01/a"], 1, (1, 9, "s1/v09/*")),
        ("data-{SPAN}.csv", ["data-3.csv", "data-4.csv", "data.csv"], None, (4, None, "data-4.csv")),
        ("*.csv", ["a.csv"], None, (0, None, "*.csv")),
    ],
)
def test_a_span_is_the_one_that_tfx_takes(
    tmp_path: Path, path: str, files: Sequence[str], span: int | None, expected: tuple[int, int | None, str]
):
    touch(tmp_path, *files)
    base, pattern = base_and_pattern(str(tmp_path / path))
    assert base == str(tmp_path)
    found = resolve_span(base, pattern, span)
    assert (found.number, found.version, found.pattern) == expected
    assert by_tfx(base, pattern, span) == expected


@pytest.mark.parametrize(
    ("path", "files", "span", "message"),
    [
        ("s-{SPAN}/*.csv", [], None, "No file matches {base}/s-{{SPAN}}/*.csv. There is no span at all."),
        ("s-{SPAN}/*.csv", ["s-1/a.txt"], None, "No file matches {base}/s-{{SPAN}}/*.csv. There is no span at all."),
        (
            "s-{SPAN}/*.csv",
            ["s-1/a.csv", "s-3/a.csv"],
            2,
            "No file of span 2 matches {base}/s-{{SPAN}}/*.csv. The spans there are: 1, 3.",
        ),
        (
            "s-{SPAN}/*.csv",
            ["s-1/a.csv", "s-old/a.csv"],
            None,
            "{base}/s-old/a.csv lies where a span should, but its name holds no number or date (SPAN: 'old'). Move it away.",
        ),
        (
            "{YYYY}-{MM}-{DD}.csv",
            ["2024-13-01.csv"],
            None,
            "{base}/2024-13-01.csv lies where a span should, but its name holds no number or date "
            "(YYYY: '2024', MM: '13', DD: '01'). Move it away.",
        ),
        (
            "s-{SPAN}/*.csv",
            ["s-07/a.csv"],
            None,
            "{base}/s-07/a.csv is of span 7, but s-7/*.csv does not match it. For leading zeros write {{SPAN:<digits>}}.",
        ),
        (
            "{DATE}.csv",
            [],
            None,
            "{{DATE}}.csv: unknown {{DATE}}. Expected {{SPAN}}, {{SPAN:<digits>}}, {{YYYY}}, {{MM}}, {{DD}}, {{VERSION}}.",
        ),
        ("{SPAN}/{SPAN}.csv", [], None, "{{SPAN}}/{{SPAN}}.csv: {{SPAN}} stands 2 times. Expected once."),
        ("{YYYY}-{MM}.csv", [], None, "{{YYYY}}-{{MM}}.csv: a span is either {{SPAN}} or all of {{YYYY}}, {{MM}} and {{DD}}."),
        (
            "v{VERSION}.csv",
            [],
            None,
            "v{{VERSION}}.csv: {{VERSION}} is a version of a span. "
            "Put {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}}, into the path.",
        ),
    ],
)  # fmt: skip
def test_a_path_without_a_span_to_read_is_refused(
    tmp_path: Path, path: str, files: Sequence[str], span: int | None, message: str
):
    touch(tmp_path, *files)
    base, pattern = base_and_pattern(str(tmp_path / path))
    with pytest.raises(DataError) as caught:
        resolve_span(base, pattern, span)
    assert str(caught.value) == message.format(base=tmp_path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gs://bucket/data/s-{SPAN}/v{VERSION}/*.csv", ("gs://bucket/data", "s-{SPAN}/v{VERSION}/*.csv")),
        ("/{SPAN}/*.csv", ("/", "{SPAN}/*.csv")),
        ("gs://bucket/{YYYY}{MM}{DD}.csv", ("gs://bucket", "{YYYY}{MM}{DD}.csv")),
    ],
)
def test_the_pattern_begins_with_the_part_that_names_the_span(path: str, expected: tuple[str, str]):
    assert base_and_pattern(path) == expected


def test_a_relative_path_may_begin_with_a_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert base_and_pattern("{SPAN}.csv") == (str(tmp_path), "{SPAN}.csv")
