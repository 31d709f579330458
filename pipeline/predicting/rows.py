"""Blocks of raw rows to blocks of scored rows: what every engine does, wherever it does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.parquet_reader import Converted
from pipeline.predicting import scoring
from pipeline.predicting.formats import FORMATS, Rows
from pipeline.predicting.pushed import PushedModel

ROWS_PER_PART = 16_384  # of a block, for one call of a model
PREDICTED_CLASS, PREDICTION, SCORE_PREFIX = "predicted_class", "prediction", "score_"


@dataclass(frozen=True)
class Plan:
    """What is to be done; all that a worker has to know.

    Attributes:
      model: gives the scores.
      format: of the files.
      files: of rows.
      carried: columns of the files that go into the output, with their types.
    """

    model: PushedModel
    format: str
    files: tuple[str, ...]
    carried: tuple[tuple[str, pa.DataType], ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """The columns of the output."""
        said = [(name, pa.string() if name == PREDICTED_CLASS else pa.float32()) for name in outputs(self.model)]
        return pa.schema([*self.carried, *said])

    def blocks(self, path: str) -> Iterator[Block]:
        """Stream a file in blocks that a model takes at once."""
        needed = list(dict.fromkeys([*self.model.columns, *(name for name, _ in self.carried)]))
        for block in FORMATS[self.format].blocks(path, needed):
            yield from block.parts(ROWS_PER_PART)


def outputs(model: PushedModel) -> list[str]:
    """Return the names of what a model says of a row."""
    return [PREDICTED_CLASS, *(f"{SCORE_PREFIX}{name}" for name in model.classes)] if model.classes else [PREDICTION]


@dataclass(frozen=True)
class ScoredRows:
    """What came of a block: a row of output for every row that is not bad, in the order of the file."""

    batch: pa.RecordBatch
    bad: list[BadRow]


@dataclass
class _Unusable:
    """Positions of rows that cannot be scored, with the first reason of each."""

    reasons: dict[int, str] = field(default_factory=dict)

    def take(self, column: str, converted: Converted, used: str = "") -> pa.Array:
        """Return the values of a column and note what is wrong with them."""
        values, wrong = converted
        self.reasons = {i: f"column '{column}' {what}{used}" for i, what in wrong.items()} | self.reasons
        return values


class RowScorer:
    """Scores blocks of rows; several threads may call it at once."""

    def __init__(self, plan: Plan):
        """Load the model; see scoring.load."""
        self._plan, self._format = plan, FORMATS[plan.format]
        self._score = scoring.load(plan.model)

    def __call__(self, block: Block) -> ScoredRows:
        """Score a block of `plan.blocks`."""
        rows, unusable = self._format.rows(block), _Unusable()
        values = self._values(rows, unusable)
        carried = [unusable.take(name, rows.carried(name)).cast(arrow_type) for name, arrow_type in self._plan.carried]
        good = [i for i in range(len(rows.numbers)) if i not in unusable.reasons]
        chosen = pa.array(good, pa.int64())
        scores, refused = self._scores({name: column.take(chosen) for name, column in values.items()}, len(good))
        unusable.reasons |= {good[i]: reason for i, reason in refused.items()}
        batch = self._output([column.take(chosen) for column in carried], scores)
        if refused:
            batch = batch.filter(pa.array([i not in refused for i in range(len(good))]))
        bad = [BadRow(block.file, int(rows.numbers[i]), reason) for i, reason in unusable.reasons.items()]
        return ScoredRows(batch, sorted([*rows.bad, *bad], key=lambda row: row.row))

    def _values(self, rows: Rows, unusable: _Unusable) -> dict[str, pa.Array]:
        values = {}
        for name, column in self._plan.model.columns.items():
            values[name] = unusable.take(name, rows.values(name, column.type), f" (it is read as {column.type})")
            if column.required:
                empty = np.flatnonzero(values[name].is_null().to_numpy(zero_copy_only=False)).tolist()
                unusable.take(name, (values[name], dict.fromkeys(empty, "is empty, and the model cannot do without it")))
        return values

    def _scores(self, values: scoring.Values, num_rows: int) -> scoring.Scored:
        if not num_rows:
            return np.empty((0, max(len(self._plan.model.classes), 1)), np.float32), {}
        return self._score(values)

    def _output(self, carried: list[pa.Array], scores: np.ndarray) -> pa.RecordBatch:
        classes = self._plan.model.classes
        said = [pa.array(column) for column in np.ascontiguousarray(scores.T, np.float32)]
        if classes:
            said = [pa.array(classes, pa.string()).take(pa.array(scores.argmax(axis=1))), *said]
        return pa.RecordBatch.from_arrays([*carried, *said], schema=self._plan.schema)
