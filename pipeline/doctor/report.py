"""What a person sees of an examination, and what a program reads."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TextIO

from pipeline.doctor.findings import Finding, State
from pipeline.json_text import to_json

SCHEMA_VERSION = 1
_STYLES: Mapping[State, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}
_MARGIN = " " * 22
_WIDTH = 120


class Report:
    """Prints findings as they come: in colours where rich is installed, and in full without it."""

    def __init__(self, stream: TextIO):
        """Print on a stream."""
        self._stream = stream
        self._is_rich = importlib.util.find_spec("rich") is not None

    def say(self, text: str, style: str = "") -> None:
        """Print some lines."""
        if not self._is_rich:
            print(text, file=self._stream, flush=True)
            return
        from rich.console import Console
        from rich.text import Text

        terminal = self._stream.isatty()
        console = Console(
            file=self._stream, force_terminal=terminal, width=None if terminal else _WIDTH, highlight=False, soft_wrap=True
        )
        console.print(Text(text, style=style))
        self._stream.flush()

    def say_doing(self, name: str, doing: str) -> None:
        """Say what takes seconds."""
        self.say(f"         {name:12} {doing} ...", "dim")

    def add(self, finding: Finding) -> None:
        """Print a finding, and its cure right below."""
        first, *rest = finding.found.splitlines() or [""]
        lines = [f"{finding.state:8} {finding.check:12} {first}", *(f"{_MARGIN}{line}" for line in rest)]
        self.say("\n".join(lines), "" if finding.state == "ok" else _STYLES[finding.state])
        if finding.cure:
            self.say(f"{_MARGIN}Cure: {finding.cure}")

    def close(self, findings: Sequence[Finding]) -> None:
        """Print how many of each kind there were."""
        count = counts(findings)
        text = f"{_number(count['problem'], 'problem')}, {_number(count['warning'], 'warning')}, {count['ok']} ok"
        worst: State = "problem" if count["problem"] else "warning" if count["warning"] else "ok"
        self.say(text, f"bold {_STYLES[worst].removeprefix('bold ')}")


def counts(findings: Sequence[Finding]) -> dict[State, int]:
    """Return {state: how many findings have it}."""
    states: tuple[State, ...] = ("ok", "warning", "problem")
    return {state: sum(finding.state == state for finding in findings) for state in states}


def document(findings: Sequence[Finding]) -> str:
    """Return the findings as JSON."""
    count = counts(findings)
    return to_json(
        {
            "schema_version": SCHEMA_VERSION,
            "status": "problem" if count["problem"] else "ok",
            "counts": count,
            "findings": [
                {"check": one.check, "state": one.state, "found": one.found, "cure": one.cure or None} for one in findings
            ],
        }
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
