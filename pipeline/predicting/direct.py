"""The engine that works in this process: blocks are read, decoded and scored by several threads, and written in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from pipeline.ingest.blocks import Block
from pipeline.ingest.threads import in_order
from pipeline.predicting.outputs import writer
from pipeline.predicting.rows import Plan, RowScorer
from pipeline.predicting.tally import Tally, listed


def score_files(
    plan: Plan, kind: str, sink: pa.NativeFile, quarantine: Callable[[str], object], progress: Callable[[Tally], None]
) -> Tally:
    """Score all rows of all files, in their order, in memory that does not grow with the files.

    Args:
      plan: what is to be done.
      kind: format of the output.
      sink: takes the output.
      quarantine: takes lines that say which rows cannot be used.
      progress: is told of the rows so far.

    Raises:
      DataError: a file cannot be read to its end.
    """
    score, tally = RowScorer(plan), Tally()
    out = writer(kind, sink, plan.schema)
    for scored in in_order(score, _blocks(plan)):
        out.write(scored.batch)
        quarantine(listed(scored.bad))
        tally.add(scored.batch.num_rows, scored.bad)
        progress(tally)
    out.close()
    return tally


def _blocks(plan: Plan) -> Iterator[Block]:
    for file in plan.files:
        yield from plan.blocks(file)
