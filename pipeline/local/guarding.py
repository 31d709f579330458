"""What is the same of every run, whatever it runs: its streams, signals and exit codes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping

from pipeline import exit_codes
from pipeline.local.output import RedirectedOutput, redirected_output
from pipeline.local.telling import exit_code

EXIT_CODES: Mapping[str, int] = {
    "succeeded": exit_codes.OK,
    "failed": exit_codes.FAILED,
    "not_blessed": exit_codes.NOT_BLESSED,
    "interrupted": exit_codes.INTERRUPTED,
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def guarded(run: Callable[[RedirectedOutput], int], close: Callable[[], None]) -> int:
    """Run, with the output redirected; an error becomes a sentence and an exit code.

    Args:
      run: returns the exit code.
      close: is called in the end, however it ended.
    """
    with redirected_output() as output:
        previous = {number: signal.getsignal(number) for number in _SIGNALS}
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return exit_code(lambda: run(output), errors=output.errors)
        except KeyboardInterrupt:
            print("Interrupted before anything ran.", file=output.errors)
            return exit_codes.INTERRUPTED
        finally:
            close()
            for number, handler in previous.items():
                signal.signal(number, handler)


def ignore_interrupts() -> None:
    """Take no interrupt any more: what happened is about to be written down."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(*_: object) -> None:
    # Not by way of SIGINT, which a background process of a shell script ignores.
    raise KeyboardInterrupt
