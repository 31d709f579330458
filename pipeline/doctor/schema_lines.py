"""Where in the text of a schema file something stands: the parser keeps no lines."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}<>]|[A-Za-z_]\w*|\n""")


@dataclass(frozen=True)
class _Section:
    """A `feature { ... }` or `string_domain { ... }`: its name, and the first line of each key in it."""

    kind: str
    name: str
    lines: dict[str, int]
    domain: str | None
    end: int


class SchemaLines:
    """The lines of a schema's text, counted from 1."""

    def __init__(self, text: str):
        """Find the sections of a text that parses."""
        sections = [*_sections(text)]
        self._features = {section.name: section for section in sections if section.kind == "feature"}
        self._domains = {section.name: section for section in sections if section.kind == "string_domain"}
        self.end_of_features = max((section.end for section in self._features.values()), default=0)

    def line_of(self, column: str, keyword: str = "name") -> int | None:
        """Return the line where a column's section has a key, or else its name; None for a column that is not there.

        `string_domain` is where its values begin, in the section or in the domain that it names.
        """
        section = self._features.get(column)
        if section is None:
            return None
        if keyword == "string_domain" and section.domain in self._domains:
            shared = self._domains[section.domain].lines
            return shared.get("value", shared.get("name"))
        return section.lines.get(keyword, section.lines.get("name"))

    def near(self, column: str) -> str | None:
        """Return the column whose name is most like another's; None if none is."""
        return next(iter(difflib.get_close_matches(column, self._features, n=1)), None)


def _sections(text: str) -> Iterator[_Section]:
    depth, line = 0, 1
    kind = key = ""
    lines: dict[str, int] = {}
    values: dict[str, str] = {}
    for token in _TOKEN.findall(text):
        if token == "\n":
            line += 1
        elif token in "{<":
            depth += 1
            if depth == 1:
                kind, lines, values = key, {}, {}
        elif token in "}>":
            depth -= 1
            if depth == 0:
                yield _Section(kind, values.get("name", ""), lines, values.get("domain"), line)
        elif token[0] in "\"'":
            if depth == 1:
                values.setdefault(key, token[1:-1])
        elif token[0] != "#":
            key = token
            if depth == 1:
                lines.setdefault(key, line)
