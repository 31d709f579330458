"""`runner_local.py predict`, from what was asked for to an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

import pyarrow as pa

from pipeline import exit_codes, lean_imports
from pipeline.errors import ConfigError, DataError
from pipeline.local.output import RedirectedOutput, redirected_output
from pipeline.predicting import engines
from pipeline.predicting.files import whole_file
from pipeline.predicting.planning import STDOUT, make_plan, output_kind
from pipeline.predicting.rows import Plan
from pipeline.predicting.screen import Screen
from pipeline.predicting.tally import Quarantine, Tally, quarantine_path


@dataclass(frozen=True)
class PredictOptions:
    """What `runner_local.py predict` was asked for; `beam_args` have the runner among them."""

    model: str
    rows: str
    output: str
    kind: str | None = None
    carried: Sequence[str] = ()
    max_bad_rows: float = 0.001
    engine: str = "auto"
    beam_args: Sequence[str] = ()


def predict(options: PredictOptions) -> int:
    """Score rows.

    Returns:
      The exit code: 0; 1 a file cannot be read to its end, or too many rows cannot be scored; 2 bad usage; 130 interrupted.
    """
    with redirected_output() as output, _interruptions() as interrupted:
        try:
            _predict(options, output)
            return exit_codes.OK
        except (ConfigError, DataError, KeyboardInterrupt) as error:
            if interrupted:
                print("Interrupted. No output was written.", file=output.errors)
                return exit_codes.INTERRUPTED
            print(error, file=output.errors)
            return exit_codes.USAGE if isinstance(error, ConfigError) else exit_codes.FAILED


@contextlib.contextmanager
def _interruptions() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt for SIGINT and SIGTERM, and list them: libraries in between may make another error of it."""
    seen: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _predict(options: PredictOptions, output: RedirectedOutput) -> None:
    began = time.monotonic()
    plan = make_plan(options.model, options.rows, options.carried, options.kind)
    kind = output_kind(options.output, plan.files)
    engine, reason = engines.choose(options.engine, options.beam_args, plan.files, options.output)
    screen = Screen(output.errors if options.output == STDOUT else output.screen, began)
    num_files = f"{len(plan.files)} {plan.format} file{'s' if len(plan.files) > 1 else ''}"
    screen.say(f"{plan.model.kind} {plan.model.path}, {num_files}, engine {engine}: {reason}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    lean_imports.install()
    job = _Job(plan, kind, options, output, screen)
    written, tally = job.on_beam() if engine == "beam" else job.directly()
    screen.close(tally, written, job.listed_in)


class _Job:
    """A plan with where its output goes."""

    def __init__(self, plan: Plan, kind: str, options: PredictOptions, output: RedirectedOutput, screen: Screen):
        self._plan, self._kind, self._options, self._output, self._screen = plan, kind, options, output, screen
        self._on_stdout = options.output == STDOUT
        self.listed_in = "the lines above" if self._on_stdout else quarantine_path(options.output)

    def directly(self) -> tuple[str, Tally]:
        """Score in this process."""
        with self._screen.working("loading TensorFlow"):
            lean_imports.read_tensorflow()
        from pipeline.predicting.direct import score_files

        with self._quarantine() as quarantine, self._sink() as sink:
            with self._screen.working("loading the model"):
                tally = score_files(self._plan, self._kind, sink, quarantine.write, self._screen.show)
            tally.check(self._options.max_bad_rows, self.listed_in)
        return "stdout" if self._on_stdout else self._options.output, tally

    def on_beam(self) -> tuple[str, Tally]:
        """Score where Beam's runner does."""
        with self._screen.working("loading Beam"):
            lean_imports.read_beam()
            from pipeline.predicting.beam_engine import ShardedOutput, score_files

        shards = ShardedOutput(self._options.output)
        try:
            with self._quarantine() as quarantine:
                with self._screen.working("scoring on Beam"):
                    tally = score_files(self._plan, self._kind, shards, quarantine.write, self._options.beam_args)
                tally.check(self._options.max_bad_rows, self.listed_in)
            written = shards.publish()
        finally:
            shards.discard()
        return f"{written[0]} and {len(written) - 1} more" if len(written) > 1 else written[0], tally

    def _quarantine(self) -> contextlib.AbstractContextManager[Quarantine | _Printed]:
        return contextlib.nullcontext(_Printed(self._output.errors)) if self._on_stdout else Quarantine(self.listed_in)

    @contextlib.contextmanager
    def _sink(self) -> Iterator[pa.NativeFile]:
        if not self._on_stdout:
            with whole_file(self._options.output) as sink:
                yield sink
            return
        with pa.PythonFile(self._output.screen.buffer, "w") as sink:
            yield sink
            sink.flush()


class _Printed:
    """Where bad rows go if the output goes to stdout."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, lines: str) -> None:
        self._stream.write(lines)
