"""Spans: data that comes in numbered or dated portions, named in its path as TFX's file-based driver has it.

The driver decides which span a run reads. This is the same rule without TFX, for the check before a run and the digest of the
content; a test holds the two to each other.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.data_config import has_span
from pipeline.errors import DataError
from pipeline.ingest.source import list_files

_EPOCH = date(1970, 1, 1)
_PLACE = re.compile(r"\{(SPAN|VERSION)(?::(\d+))?\}|\{(YYYY|MM|DD)\}")
_DATE_WIDTHS = {"YYYY": 4, "MM": 2, "DD": 2}


@dataclass(frozen=True)
class Span:
    """One portion: its number (of a date: days since 1970), its version if the path has a place for one, and its files."""

    number: int
    version: int | None
    pattern: str


def resolve_span(base: str, pattern: str, number: int | None = None) -> Span:
    """Return the newest span, or the one asked for, in its newest version; span 0 of a pattern without a place for it.

    Args:
      base: folder, local or remote.
      pattern: below it, with {SPAN} or {YYYY}, {MM}, {DD} and perhaps {VERSION}.
      number: the span wanted; default: the newest.

    Raises:
      DataError: no file matches, or what stands in a span's place is no number or date.
    """
    _check(pattern)
    if not has_span(pattern):
        return Span(0, None, pattern)
    places = re.compile(_regex(os.path.join(base, pattern)))
    found = [(*_numbers(match.groupdict(), path), path) for path, match in _matches(base, pattern, places)]
    wanted = [one for one in found if number in (None, one[0])]
    if not wanted:
        known = sorted({one[0] for one in found})
        spans = f"The spans there are: {', '.join(map(str, known[-10:]))}." if known else "There is no span at all."
        which = "" if number is None else f" of span {number}"
        raise DataError(f"No file{which} matches {base}/{pattern}. {spans}")
    newest, version, path = max(wanted)
    resolved = _filled(pattern, newest, version)
    if not list_files(base, resolved):
        raise DataError(
            f"{path} is of span {newest}, but {resolved} does not match it. For leading zeros write {{SPAN:<digits>}}."
        )
    return Span(newest, version if "{VERSION" in pattern else None, resolved)


def _check(pattern: str) -> None:
    unknown = [name for name in re.findall(r"\{[^{}]*\}", pattern) if not _PLACE.fullmatch(name)]
    if unknown:
        raise DataError(
            f"{pattern}: unknown {unknown[0]}. Expected {{SPAN}}, {{SPAN:<digits>}}, {{YYYY}}, {{MM}}, {{DD}}, {{VERSION}}."
        )
    names = [match[0] or match[2] for match in _PLACE.findall(pattern)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{pattern}: {{{twice[0]}}} stands {names.count(twice[0])} times. Expected once.")
    dates = set(names) & set(_DATE_WIDTHS)
    if dates and ("SPAN" in names or dates != set(_DATE_WIDTHS)):
        raise DataError(f"{pattern}: a span is either {{SPAN}} or all of {{YYYY}}, {{MM}} and {{DD}}.")
    if names == ["VERSION"]:
        raise DataError(
            f"{pattern}: {{VERSION}} is a version of a span. Put {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}}, into the path."
        )


def _matches(base: str, pattern: str, places: re.Pattern[str]):
    for path in list_files(base, _PLACE.sub("*", pattern)):
        if match := places.fullmatch(path):
            yield path, match


def _regex(pattern: str) -> str:
    parts, end = [], 0
    for place in _PLACE.finditer(pattern):
        name = place[1] or place[3]
        width = f"{{{place[2] or _DATE_WIDTHS.get(name)}}}" if place[2] or name in _DATE_WIDTHS else "*"
        parts += [_glob_regex(pattern[end : place.start()]), f"(?P<{name}>[^/]{width})"]
        end = place.end()
    return "".join([*parts, _glob_regex(pattern[end:])])


def _glob_regex(text: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character)) for character in text)


def _numbers(groups: dict[str, str], path: str) -> tuple[int, int]:
    """Return (span, version); version 0 if there is none."""
    try:
        version = int(groups.get("VERSION", 0))
        if "SPAN" in groups:
            return int(groups["SPAN"]), version
        return (date(*(int(groups[name]) for name in _DATE_WIDTHS)) - _EPOCH).days, version
    except ValueError:
        found = ", ".join(f"{name}: '{text}'" for name, text in groups.items())
        raise DataError(
            f"{path} lies where a span should, but its name holds no number or date ({found}). Move it away."
        ) from None


def _filled(pattern: str, span: int, version: int) -> str:
    day = _EPOCH + timedelta(span) if "{YYYY}" in pattern else _EPOCH
    values = {"SPAN": span, "VERSION": version, "YYYY": day.year, "MM": day.month, "DD": day.day}

    def fill(place: re.Match[str]) -> str:
        name = place[1] or place[3]
        return str(values[name]).zfill(int(place[2] or _DATE_WIDTHS.get(name, 0)))

    return _PLACE.sub(fill, pattern)
