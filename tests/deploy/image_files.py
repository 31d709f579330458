"""Reads a Dockerfile and a .dockerignore, as far as these tests ask."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """A stage of a Dockerfile.

    Attributes:
      base: what FROM names, arguments filled in.
      name: after AS; "" for none.
      instructions: (keyword, rest of the logical line), in order.
    """

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == keyword]


def stages(dockerfile: Path) -> list[Stage]:
    lines = [line for line in dockerfile.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, _, rest = line.partition(" ")
        if keyword == "ARG" and not found:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base), name))
        else:
            found[-1].instructions.append((keyword, rest.strip()))
    return found


def copied(stage: Stage) -> list[tuple[str, str]]:
    """Return (source, target) of what a stage copies out of the repository."""
    pairs = []
    for rest in stage.all("COPY"):
        if not rest.startswith("--from="):
            *sources, target = rest.split()
            pairs += [(source, target) for source in sources]
    return pairs


def reaches_docker(path: str, ignore_file: Path) -> bool:
    """Return whether docker sends a file: the last pattern that names it or a folder above it decides."""
    sent = True
    folders = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 2)]
    for line in ignore_file.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = re.compile(_regex(line.removeprefix("!")))
            if any(pattern.fullmatch(each) for each in folders):
                sent = line.startswith("!")
    return sent


def _regex(pattern: str) -> str:
    parts = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    return "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))
