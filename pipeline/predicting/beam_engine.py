"""The engine that works where Beam's runner does: files are read in parallel, and each worker writes shards of the output."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from pipeline.errors import ConfigError, DataError
from pipeline.ingest.blocks import Block
from pipeline.ingest.source import COMPRESSIONS
from pipeline.predicting.outputs import TEXTS
from pipeline.predicting.rows import Plan, RowScorer, ScoredRows
from pipeline.predicting.tally import NUM_REPORTED, Tally, listed

_BAD, _SCORED, _NUM_SCORED, _NUM_BAD = "bad", "scored", "num_scored", "num_bad"
# Runners whose stages hand all elements over in memory: there blocks stay where they were read.
_IN_PROCESS = ("directrunner", "bundlebaseddirectrunner", "fnapirunner")


class ShardedOutput:
    """Shards beside a file's path: scores-00000-of-00004.csv for scores.csv. They appear when all are written."""

    def __init__(self, output: str):
        folder, name = os.path.split(output)
        base, compression = os.path.splitext(name) if os.path.splitext(name)[1] in COMPRESSIONS else (name, "")
        stem, extension = os.path.splitext(base)
        self.folder, self.stem, self.suffix = folder or ".", stem, extension + compression
        self.scratch = FileSystems.join(self.folder, f".{stem}-{uuid.uuid4().hex[:8]}.partial")

    @property
    def prefix(self) -> str:
        """What the names of unpublished shards begin with."""
        return FileSystems.join(self.scratch, self.stem)

    def publish(self) -> list[str]:
        """Give the shards their names, in place of those of an earlier command; return them."""
        written = self._shards(self.scratch)
        targets = [FileSystems.join(self.folder, os.path.basename(path)) for path in written]
        if old := self._shards(self.folder):
            FileSystems.delete(old)
        FileSystems.rename(written, targets)
        return targets

    def discard(self) -> None:
        """Remove what is not published."""
        with contextlib.suppress(OSError, beam.io.filesystem.BeamIOError):
            FileSystems.delete([self.scratch])

    def _shards(self, folder: str) -> list[str]:
        name = re.compile(rf"{re.escape(self.stem)}-\d{{5}}-of-\d{{5}}{re.escape(self.suffix)}")
        (found,) = FileSystems.match([FileSystems.join(folder, "*")])
        return sorted(file.path for file in found.metadata_list if name.fullmatch(os.path.basename(file.path)))


def score_files(
    plan: Plan, kind: str, output: ShardedOutput, quarantine: Callable[[str], object], beam_args: Sequence[str]
) -> Tally:
    """Score all rows of all files, in no order, into unpublished shards.

    Args:
      plan: what is to be done.
      kind: format of the output.
      output: where it goes.
      quarantine: takes lines that say which rows cannot be used.
      beam_args: such as --runner=DirectRunner.

    Raises:
      ConfigError: there is no such runner, or it does not take these arguments.
      DataError: a file cannot be read to its end, or the runner gave up.
    """
    options = PipelineOptions(list(beam_args), save_main_session=False)
    pipeline = _pipeline(options)
    scored = (
        pipeline
        | "Files" >> beam.Create(list(plan.files))
        | "Read" >> beam.ParDo(_Read(plan))
        | "Spread" >> (_Stay() if _is_in_process(options) else beam.Reshuffle())
        | "Score" >> beam.ParDo(_Score(plan)).with_outputs(_BAD, main=_SCORED)
    )
    bad_rows = FileSystems.join(output.scratch, "quarantine")
    scored[_SCORED] | "Write" >> _Write(plan.schema, kind, output)
    scored[_BAD] | "WriteBad" >> beam.io.WriteToText(
        bad_rows, append_trailing_newlines=False, num_shards=1, shard_name_template=""
    )
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except RuntimeError as error:  # Beam's own type of error, whatever was raised on a worker
        raise DataError(str(error).strip().splitlines()[-1]) from error
    finally:
        _scorer.cache_clear()  # TensorFlow's functions must not outlive its modules
    return _tally(result, bad_rows, quarantine)


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise ConfigError(f"--runner, --beam-arg: {error}") from error


_LOADING = threading.Lock()


def _shared_scorer(plan: Plan) -> RowScorer:
    with _LOADING:  # once: a model takes seconds, and TensorFlow's import is not for several threads
        return _scorer(plan)


@functools.lru_cache(1)
def _scorer(plan: Plan) -> RowScorer:
    return RowScorer(plan)


class _Stay(beam.PTransform):
    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        return blocks


class _Read(beam.DoFn):
    def __init__(self, plan: Plan):
        self._plan = plan

    def process(self, file: str) -> Iterator[Block]:
        yield from self._plan.blocks(file)


class _Score(beam.DoFn):
    """Does what the engine in this process does, a block at a time; threads of a process share the model."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._num_scored, self._num_bad = (Metrics.counter("predict", name) for name in (_NUM_SCORED, _NUM_BAD))

    def setup(self) -> None:
        self._scorer = _shared_scorer(self._plan)

    def process(self, block: Block) -> Iterator[ScoredRows | beam.pvalue.TaggedOutput]:
        scored = self._scorer(block)
        self._num_scored.inc(scored.batch.num_rows)
        self._num_bad.inc(len(scored.bad))
        if scored.bad:
            yield beam.pvalue.TaggedOutput(_BAD, listed(scored.bad))
        if scored.batch.num_rows:
            yield scored


class _Write(beam.PTransform):
    def __init__(self, schema: pa.Schema, kind: str, output: ShardedOutput):
        super().__init__()
        self._schema, self._kind, self._prefix, self._suffix = schema, kind, output.prefix, output.suffix

    def expand(self, scored: beam.PCollection) -> beam.PCollection:
        if self._kind == "parquet":
            tables = scored | beam.Map(lambda rows: pa.Table.from_batches([rows.batch]))
            return tables | beam.io.WriteToParquetBatched(self._prefix, self._schema, file_name_suffix=self._suffix)
        text = TEXTS[self._kind]
        lines, header = text.lines, text.header(self._schema).decode()
        return (
            scored
            | beam.Map(lambda rows: lines(rows.batch))
            | beam.io.WriteToText(
                self._prefix,
                file_name_suffix=self._suffix,
                append_trailing_newlines=False,
                coder=BytesCoder(),
                header=header or None,
            )
        )


def _is_in_process(options: PipelineOptions) -> bool:
    runner = options.get_all_options()["runner"] or "DirectRunner"
    return runner.rpartition(".")[2].lower() in _IN_PROCESS


def _tally(result: PipelineResult, bad_rows: str, quarantine: Callable[[str], object]) -> Tally:
    counted = dict.fromkeys((_NUM_SCORED, _NUM_BAD), 0)
    for counter in result.metrics().query(MetricsFilter().with_namespace("predict"))["counters"]:
        counted[counter.key.metric.name] += counter.result
    tally = Tally(num_rows=sum(counted.values()), num_bad=counted[_NUM_BAD])
    with FileSystems.open(bad_rows) as file:
        for line in file:
            quarantine(line.decode())
            if len(tally.first_bad) < NUM_REPORTED:
                tally.first_bad.append(line.decode().strip())
    return tally
