"""How many rows were scored and how many could not be, which ones, and whether these are too many."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import DataError
from pipeline.ingest.blocks import BadRow
from pipeline.ingest.source import COMPRESSIONS
from pipeline.predicting.files import remove, whole_file

NUM_REPORTED = 5
_QUARANTINE_SUFFIX = ".quarantine.jsonl"


class TooManyBadRowsError(DataError):
    """More rows than allowed cannot be used."""


@dataclass
class Tally:
    """Rows so far.

    Attributes:
      num_rows: all of them, those that cannot be used included.
      num_bad: those that cannot be used.
      first_bad: some of these.
    """

    num_rows: int = 0
    num_bad: int = 0
    first_bad: list[str] = field(default_factory=list)

    def add(self, num_scored: int, bad: Sequence[BadRow]) -> None:
        """Count the rows of a block."""
        self.num_rows += num_scored + len(bad)
        self.num_bad += len(bad)
        self.first_bad += map(str, bad[: NUM_REPORTED - len(self.first_bad)])

    def check(self, max_share: float, listed: str) -> None:
        """Compare with the share of bad rows that is allowed.

        Args:
          max_share: of all rows.
          listed: where all bad rows are.

        Raises:
          TooManyBadRowsError: there are more.
        """
        if self.num_bad <= max_share * self.num_rows:
            return
        more = f" and {self.num_bad - len(self.first_bad)} more" if self.num_bad > len(self.first_bad) else ""
        raise TooManyBadRowsError(
            f"{self.num_bad} of {self.num_rows} rows cannot be scored ({self.num_bad / self.num_rows:.1%}); "
            f"--max-bad-rows allows {max_share:.1%}. {'; '.join(self.first_bad)}{more}. All are in {listed}. "
            "Mend them, or raise --max-bad-rows."
        )


class Quarantine:
    """A file of bad rows, a line of JSON each, that is there only if there are any.

    It is kept when there are too many of them. After any other error, or an interruption, what was there before is still there.
    """

    def __init__(self, path: str):
        self._path, self._file = path, contextlib.ExitStack()
        self._sink = None

    def write(self, lines: str) -> None:
        """Append lines."""
        if lines and self._sink is None:
            self._sink = self._file.enter_context(whole_file(self._path))
        if self._sink is not None:
            self._sink.write(lines.encode())

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None or issubclass(kind, TooManyBadRowsError):
            self._file.close()
            if self._sink is None:
                remove(self._path)  # of an earlier command with the same output
        else:
            self._file.__exit__(kind, error, trace)


def quarantine_path(output: str) -> str:
    """Return where the bad rows go, beside an output: scores.quarantine.jsonl beside scores.csv.gz."""
    base, extension = os.path.splitext(output)
    return f"{os.path.splitext(base)[0] if extension in COMPRESSIONS else base}{_QUARANTINE_SUFFIX}"


def is_quarantine(path: str) -> bool:
    """Tell whether a file is such a one, by its name."""
    return path.endswith(_QUARANTINE_SUFFIX)


def listed(bad: Sequence[BadRow]) -> str:
    """Return lines for the quarantine."""
    return "".join(f"{row.to_json()}\n" for row in bad)
