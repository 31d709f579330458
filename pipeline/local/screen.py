"""What a person sees of a run: a live line per stage on a terminal, plain lines elsewhere, tables at the end."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.local.run_folder import LOG_FILE, SUMMARY_FILE

if TYPE_CHECKING:
    from pipeline.local.results import StageResult

_STYLES = {
    "ran": "green",
    "reused": "cyan",
    "failed": "bold red",
    "skipped": "dim",
    "not_reached": "dim",
    "running": "yellow",
    "waiting": "dim",
}


_SECONDS_BETWEEN_LINES = 5.0


class Screen:
    """Shows a run on the stream that is the user's, whatever happens to stdout."""

    def __init__(self, stream: TextIO | None):
        """Show on a stream; None shows nothing."""
        terminal = stream is not None and stream.isatty()
        self._console = Console(
            file=stream or io.StringIO(),
            force_terminal=terminal,
            width=None if terminal else 120,
            highlight=False,
            soft_wrap=not terminal,
        )
        self._live: Live | None = None
        self._stages: list[str] = []
        self._results: dict[str, StageResult] = {}
        self._running: dict[str, float] = {}
        self._doing: dict[str, str] = {}
        self._said_at = 0.0

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self._console.print(Text(text, style=style))

    def begin(self, stage_ids: Sequence[str]) -> None:
        """Show the stages that will run."""
        self._stages = list(stage_ids)
        if self._console.is_terminal:
            # Not redirected: what libraries print belongs into the log.
            self._live = Live(
                get_renderable=self._lines,
                console=self._console,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def start_stage(self, stage_id: str) -> None:
        """Show that a stage is running; several may."""
        self._running[stage_id] = time.monotonic()

    def say_doing(self, stage_id: str, text: str) -> None:
        """Show what a running stage is doing: beside it on a terminal, elsewhere as a line every few seconds."""
        self._doing[stage_id] = text
        if not self._live and time.monotonic() - self._said_at > _SECONDS_BETWEEN_LINES:
            self._said_at = time.monotonic()
            self.say(f"        {stage_id}: {text}")

    def end_stage(self, result: StageResult) -> None:
        """Show what became of a stage."""
        self._running.pop(result.id, None)
        self._results[result.id] = result
        if not self._live:
            position = f"[{len(self._results):2}/{len(self._stages)}]"
            self.say(f"{position} {result.id:20} {result.state:8} {result.seconds:6.1f} s")

    def end(self) -> None:
        """Stop the live display; safe to call twice."""
        if self._live:
            self._live.stop()
            self._live = None

    def _lines(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for stage_id in self._stages:
            if stage_id in self._results:
                result = self._results[stage_id]
                table.add_row(stage_id, Text(result.state, _STYLES[result.state]), f"{result.seconds:.1f} s")
            elif (began := self._running.get(stage_id)) is not None:
                doing = Text(self._doing.get(stage_id, ""), "dim")
                table.add_row(stage_id, Text("running", _STYLES["running"]), f"{time.monotonic() - began:.0f} s", doing)
            else:
                table.add_row(stage_id, Text("waiting", _STYLES["waiting"]), "")
        return table

    def close(self, summary: Mapping[str, Any], root: Path, run_folder: Path) -> None:
        """Print the closing tables."""
        self.end()
        self._console.print(_stage_table(summary))
        if summary["gates"]:
            self._console.print(_gate_table(summary))
        if summary["edge"]:
            self._console.print(_edge_table(summary["edge"]))
        if tuning := summary.get("tuning"):
            self.say(f"tuning{' (of an earlier run)' if tuning['reused'] else ''}: {tuning['headline']}")
        self._print_metrics(summary["metrics"])
        for what, path in summary["pushed"].items():
            if path:
                self.say(f"pushed {what}: {root / path}", "green")
        self.say(f"summary: {run_folder / SUMMARY_FILE}\nlog: {run_folder / LOG_FILE}")
        self.say(
            f"{summary['status']} in {summary['seconds']:.0f} s",
            "bold green" if summary["status"] == "succeeded" else "bold red",
        )

    def _print_metrics(self, metrics: Mapping[str, Mapping[str, float] | None]) -> None:
        for who in ("candidate", "baseline", "simple_baseline"):
            if values := metrics.get(who):
                shown = "  ".join(f"{name} {value:.4f}" for name, value in sorted(values.items()))
                self.say(f"{who.replace('_', ' ')}: {shown}")


def _stage_table(summary: Mapping[str, Any]) -> Table:
    table = Table("stage", "state", "seconds", title="Stages", title_justify="left")
    for stage in summary["stages"]:
        table.add_row(stage["id"], Text(stage["state"], _STYLES[stage["state"]]), f"{stage['seconds']:.1f}")
    return table


def _gate_table(summary: Mapping[str, Any]) -> Table:
    table = Table("gate", "slice", "bound", "value", "", title="Gates", title_justify="left")
    for gate in summary["gates"]:
        value = "none" if gate["value"] is None else f"{gate['value']:.4f}".replace("-0.0000", "0.0000")
        table.add_row(gate["name"], gate["slice"] or "", gate["bound"], value, _verdict(gate["passed"]))
    return table


def _edge_table(edge: Mapping[str, Any]) -> Table:
    metric_names = list(edge["reference"]["metrics"])
    table = Table("edge variant", "bytes", "gzip", *metric_names, "latency us", "", title="Edge variants", title_justify="left")
    for variant in edge["variants"]:
        chosen = variant["name"] in (edge["chosen"], edge["chosen_raw"])
        metrics = [f"{variant['metrics'][name]:.4f}" if name in variant["metrics"] else "" for name in metric_names]
        verdict = Text("chosen", "bold green") if chosen else _verdict(variant["passed"], variant["error"] or "")
        latency = "" if variant["latency_us"] is None else f"{variant['latency_us']:.1f}"
        sizes = [f"{variant['size_bytes']:,}", f"{variant['gzip_bytes']:,}"]
        table.add_row(variant["name"], *sizes, *metrics, latency, verdict)
    return table


def _verdict(passed: bool, reason: str = "") -> Text:
    return Text("passed", "green") if passed else Text(reason.splitlines()[0] if reason else "not passed", "red")
