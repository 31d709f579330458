"""Which objects say that a span is complete: a path with a place for its number or date, as in `data.path` of a config."""

from __future__ import annotations

import re
from datetime import date

from failures import PermanentError

_EPOCH = date(1970, 1, 1)
_PLACE = re.compile(r"\{(?:SPAN(?::(?P<width>\d+))?|(?P<date>YYYY|MM|DD))\}")
_DATE_WIDTHS = {"YYYY": 4, "MM": 2, "DD": 2}


class SpanPattern:
    """Such as `taxi/span-{SPAN}/_SUCCESS` or `taxi/{YYYY}-{MM}-{DD}/_SUCCESS`; without a place there is one, growing span."""

    def __init__(self, text: str):
        """Read a pattern.

        Raises:
          PermanentError: it has other placeholders, or some twice, or parts of a date only.
        """
        found = [match["date"] or "SPAN" for match in _PLACE.finditer(text)]
        if sorted(found) not in ([], ["SPAN"], sorted(_DATE_WIDTHS)) or re.search(r"[{}*?\[\]]", _PLACE.sub("", text)):
            raise PermanentError(
                f"SPAN_MARKER is '{text}'. Expected {{SPAN}}, {{SPAN:<digits>}}, or {{YYYY}}, {{MM}} and {{DD}}, once each, "
                "or a path without any."
            )
        self.is_numbered = bool(found)
        self.prefix = _PLACE.split(text)[0]
        self.glob = _PLACE.sub("*", text)
        self._regex = re.compile(_regex(text))

    def matches(self, name: str) -> bool:
        """Tell whether an object is a marker."""
        return self.number(name) is not None

    def number(self, name: str) -> int | None:
        """Return the span that a marker stands for, 0 of a pattern without a place; None if an object is no marker.

        Args:
          name: of the object. A date counts in days since 1970-01-01, as TFX has it.
        """
        match = self._regex.fullmatch(name)
        if match is None:
            return None
        groups = {key: int(value) for key, value in match.groupdict().items()}
        if "YYYY" not in groups:
            return groups.get("SPAN", 0)
        try:
            return (date(groups["YYYY"], groups["MM"], groups["DD"]) - _EPOCH).days
        except ValueError:  # such as the 31st of February
            return None


def _regex(text: str) -> str:
    parts, end = [], 0
    for place in _PLACE.finditer(text):
        width = _DATE_WIDTHS.get(place["date"]) or place["width"]
        digits = f"{{{width}}}" if width else "+"
        parts += [re.escape(text[end : place.start()]), f"(?P<{place['date'] or 'SPAN'}>[0-9]{digits})"]
        end = place.end()
    return "".join([*parts, re.escape(text[end:])])
