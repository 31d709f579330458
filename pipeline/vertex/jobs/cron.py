"""Cron expressions, checked before anything is sent."""

from __future__ import annotations

import re
import zoneinfo

from pipeline.errors import ConfigError

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}


def cron_expression(cron: str, time_zone: str | None) -> str:
    """Return an expression as Vertex AI takes it: with its time zone in front.

    Raises:
      ConfigError: it is none.
    """
    words = cron.split()
    if len(words) != len(_FIELDS):
        fields = ", ".join(name for name, _, _ in _FIELDS)
        raise ConfigError(
            f"--cron: expected {len(_FIELDS)} fields ({fields}), found {len(words)}: '{cron}'. Such as \"0 3 * * *\"."
        )
    for word, (name, low, high) in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            _check(part, name, low, high)
    if time_zone is None:
        return " ".join(words)
    if time_zone not in zoneinfo.available_timezones():
        raise ConfigError(f"--time-zone: '{time_zone}' is none. Such as Europe/Berlin.")
    return f"TZ={time_zone} {' '.join(words)}"


def _check(part: str, name: str, low: int, high: int) -> None:
    """Check one item of a field: *, a number, a range, each with a step or without."""
    match = re.fullmatch(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", part)
    if not match:
        raise ConfigError(f"--cron: '{part}' is no {name}. Expected *, a number, a range such as 1-5, or a step such as */15.")
    numbers = [_number(text, name, low, high) for text in (match["first"], match["last"]) if text]
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise ConfigError(f"--cron: the {name} '{part}' begins after its end.")
    if match["step"] == "0":
        raise ConfigError(f"--cron: the {name} '{part}' has a step of 0.")


def _number(text: str, name: str, low: int, high: int) -> int:
    names = _NAMES.get(name, ())
    number = names.index(text.lower()) + low if text.lower() in names else int(text) if text.isdigit() else None
    if number is None or not low <= number <= high:
        raise ConfigError(f"--cron: '{text}' is no {name}. Expected {low} to {high}.")
    return number
