"""What a person sees of scoring: a live line on a terminal, and in the end what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

from pipeline.predicting.tally import Tally


class Screen:
    """Shows on the stream that is the user's."""

    def __init__(self, stream: TextIO, began: float):
        """Show on a stream; `began` is when the command did, by time.monotonic()."""
        self._console = Console(
            file=stream, force_terminal=stream.isatty(), highlight=False, soft_wrap=True, markup=False, emoji=False
        )
        self._began = began
        self._status: Status | None = None
        self._first: tuple[float, int] | None = None  # when rows came first, and how many

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(text))

    @contextlib.contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that work goes on; on a terminal only."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(Text(text)) as self._status:
            yield
        self._status = None

    def show(self, tally: Tally) -> None:
        """Show the rows so far; on a terminal only."""
        if self._status:
            self._status.update(Text(f"{tally.num_rows:,} rows, {self._rate(tally)}"))

    def close(self, tally: Tally, output: str, quarantine: str) -> None:
        """Say what came of it."""
        seconds = time.monotonic() - self._began
        self.say(f"{tally.num_rows:,} rows in {seconds:.1f} s ({tally.num_rows / seconds:,.0f} rows/s): {output}")
        if tally.num_bad:
            self.say(f"{tally.num_bad:,} of them could not be scored: {quarantine}")

    def _rate(self, tally: Tally) -> str:
        """Return rows per second since the first ones came: loading a model is no scoring."""
        now = time.monotonic()
        since, before = self._first = self._first or (now, tally.num_rows)
        return f"{(tally.num_rows - before) / (now - since):,.0f} rows/s" if now > since else "..."
