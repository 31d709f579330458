"""CSV files to split, sharded TFRecords of tf.Example: what the columns are, which rows are unusable, who goes where."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pydantic
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from pipeline.errors import DataError
from pipeline.ingest import columns
from pipeline.ingest.columns import ColumnType
from pipeline.ingest.csv_blocks import BadRow, Block, read_blocks, read_header
from preprocessing.features import BinaryLabel, Label, RegressionLabel

NUM_REPORTED = 5
NUM_LISTED = 1000
MAX_CLASSES = 1000


class Contract(pydantic.BaseModel):
    """What the config says of the data."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    label: Label
    number_columns: dict[str, str] = pydantic.Field(description="{column that must hold numbers: feature kind that reads it}")
    max_bad_rows: float = pydantic.Field(ge=0, lt=1, description="Share of unusable rows up to which they are set aside.")


@dataclass
class IngestReport:
    """What came of it. Written as JSON beside the examples."""

    examples: dict[str, int] = field(default_factory=dict)
    quarantined: list[BadRow] = field(default_factory=list)
    num_quarantined: int = 0
    types: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


class Writer(Protocol):
    """Takes serialized examples of one split."""

    def write(self, record: bytes) -> None: ...


def ingest(
    files: Sequence[str], contract: Contract, split_weights: Mapping[str, int], writers: Mapping[str, Writer]
) -> IngestReport:
    """Convert, check and split.

    A row goes to a split by the hash of its content alone: it never changes side, wherever it stands and whatever is added.

    Args:
      files: CSV files with the same header.
      contract: what the config says of the data.
      split_weights: {split: weight}; a split gets about weight / sum of the rows.
      writers: {split: where its examples go}.

    Raises:
      DataError: too many unusable rows, files that differ in their header, no label, one that cannot be learned.
    """
    header = _common_header(files)
    if contract.label.column not in header:
        raise DataError(f"{files[0]} has no column '{contract.label.column}', the label. Its columns: {', '.join(header)}.")
    types = _infer_types(files, header, contract)
    report = IngestReport(types={name: types[name].name.lower() for name in header})
    labels: collections.Counter[bytes] = collections.Counter()
    encoder = RecordBatchToExamplesEncoder()
    num_rows = 0
    for block in _blocks(files):
        usable, bad = _set_aside(block, contract, types)
        num_rows += block.batch.num_rows + len(block.bad)
        report.num_quarantined += len(bad)
        report.quarantined += bad[: NUM_LISTED - len(report.quarantined)]
        label_cells = usable.column(header.index(contract.label.column))
        if len(labels) <= MAX_CLASSES:
            labels.update(label_cells.to_pylist())
        for name, part in _split(usable, split_weights):
            lists = [columns.to_list_array(cells, types[column]) for column, cells in zip(header, part.columns, strict=True)]
            report.examples[name] = report.examples.get(name, 0) + part.num_rows
            for record in encoder.encode(pa.RecordBatch.from_arrays(lists, header)):
                writers[name].write(record)
    _check_bad_rows(report, num_rows, contract.max_bad_rows)
    _check_label(contract.label, types[contract.label.column], labels)
    if empty := [name for name in split_weights if not report.examples.get(name)]:
        raise DataError(f"Split '{empty[0]}' got none of the {num_rows} rows. Bring more rows, or change `data.split`.")
    return report


OpenWriter = Callable[[str], contextlib.AbstractContextManager[Writer]]


@contextlib.contextmanager
def sharded_writer(folder: str, open_writer: OpenWriter, rows_per_shard: int = 200_000) -> Iterator[Writer]:
    """Write records to numbered `.gz` files in a folder, a new one every rows_per_shard rows."""
    with contextlib.ExitStack() as stack:
        yield _ShardedWriter(folder, open_writer, rows_per_shard, stack)


class _ShardedWriter:
    def __init__(self, folder: str, open_writer: OpenWriter, rows_per_shard: int, stack: contextlib.ExitStack):
        self._folder, self._open, self._rows_per_shard, self._stack = folder, open_writer, rows_per_shard, stack
        self._num_rows = 0
        self._shard: Writer

    def write(self, record: bytes) -> None:
        if self._num_rows % self._rows_per_shard == 0:
            self._stack.close()  # of the full shard before, if any
            path = os.path.join(self._folder, f"examples-{self._num_rows // self._rows_per_shard:05d}.gz")
            self._shard = self._stack.enter_context(self._open(path))
        self._num_rows += 1
        self._shard.write(record)


def _common_header(files: Sequence[str]) -> list[str]:
    header = read_header(files[0])
    for other in files[1:]:
        if read_header(other) != header:
            raise DataError(f"{other} has other columns than {files[0]}: {read_header(other)} instead of {header}.")
    return header


def _blocks(files: Sequence[str]) -> Iterator[Block]:
    for path in files:
        yield from read_blocks(path)


def _infer_types(files: Sequence[str], header: Sequence[str], contract: Contract) -> dict[str, ColumnType]:
    types = dict.fromkeys(header, ColumnType.EMPTY)
    for block in _blocks(files):
        for name, cells in zip(header, block.batch.columns, strict=True):
            if types[name] is not ColumnType.TEXT:
                infer = columns.infer_number_type if name in contract.number_columns else columns.infer_type
                types[name] = max(types[name], infer(cells))
    return types


def _set_aside(block: Block, contract: Contract, types: Mapping[str, ColumnType]) -> tuple[pa.RecordBatch, list[BadRow]]:
    reasons: dict[int, str] = {}
    for name, cells in zip(block.batch.schema.names, block.batch.columns, strict=True):
        if name in contract.number_columns:
            wrong = columns.unusable_numbers(cells)
            kind = contract.number_columns[name]
            found = {i: f"column '{name}' {what} (it is used as {kind})" for i, what in wrong.items()}
        elif types[name] is ColumnType.TEXT:
            found = {i: f"column '{name}' {what}" for i, what in columns.invalid_text(cells).items()}
        else:
            found = {i: f"column '{name}' {what}" for i, what in columns.unusable_numbers(cells).items()}
        if name == contract.label.column:
            found = dict.fromkeys(columns.missing(cells, types[name]), f"the label '{name}' is empty") | found
        reasons = found | reasons
    if not reasons:
        return block.batch, block.bad
    keep = np.ones(block.batch.num_rows, bool)
    keep[list(reasons)] = False
    rows = [BadRow(block.file, block.rows[i], reason) for i, reason in sorted(reasons.items())]
    return block.batch.filter(pa.array(keep)), sorted([*block.bad, *rows], key=lambda bad: bad.row)


def _split(batch: pa.RecordBatch, weights: Mapping[str, int]) -> Iterator[tuple[str, pa.RecordBatch]]:
    if not batch.num_rows:
        return
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in columns.joined(batch.columns))
    buckets = np.frombuffer(digests, "<u8") % sum(weights.values())
    start = 0
    for name, weight in weights.items():
        mask = (buckets >= start) & (buckets < start + weight)
        start += weight
        yield name, batch.filter(pa.array(mask))


def _check_bad_rows(report: IngestReport, num_rows: int, max_share: float) -> None:
    if report.num_quarantined <= max_share * num_rows:
        return
    first = "; ".join(map(str, report.quarantined[:NUM_REPORTED]))
    more = f" and {report.num_quarantined - NUM_REPORTED} more" if report.num_quarantined > NUM_REPORTED else ""
    raise DataError(
        f"{report.num_quarantined} of {num_rows} rows cannot be used ({report.num_quarantined / num_rows:.1%}); "
        f"`data.max_bad_rows` allows {max_share:.1%}. {first}{more}. Mend them, or raise `data.max_bad_rows` to set them aside."
    )


def _check_label(label: Label, column_type: ColumnType, values: Mapping[bytes, int]) -> None:
    found = sorted({_spelled(value, column_type) for value in values})
    shown = ", ".join(f"'{value}'" for value in found[:NUM_REPORTED]) + (", ..." if len(found) > NUM_REPORTED else "")
    if len(found) < 2:
        raise DataError(f"The label '{label.column}' has only one value: {shown}. There is nothing to learn.")
    if isinstance(label, RegressionLabel):
        return
    if len(found) > MAX_CLASSES:
        raise DataError(
            f"The label '{label.column}' has over {MAX_CLASSES} classes. Is it a number? Then set `label.kind: regression`."
        )
    if isinstance(label, BinaryLabel):
        if len(found) > 2:
            raise DataError(
                f"The label '{label.column}' is binary but has {len(found)} values: {shown}. Set `label.kind: multiclass`."
            )
        if str(label.positive) not in found:
            raise DataError(
                f"The label '{label.column}' is never '{label.positive}' but {shown}. Set `label.positive` to one of them."
            )
        if label.negative is not None and str(label.negative) not in found:
            raise DataError(
                f"The label '{label.column}' is never '{label.negative}' but {shown}. Set `label.negative` to one of them."
            )


def _spelled(cell: bytes, column_type: ColumnType) -> str:
    """Spell a class as Transform does: 1, 01 and 1.0 are one class in a column of numbers, three in a column of text."""
    text = cell.decode("utf-8", "replace")
    if column_type is ColumnType.TEXT:
        return text
    try:
        number = float(text)
    except ValueError:  # what Arrow reads as a number and Python does not, such as 0x10
        return text
    return str(int(number)) if number.is_integer() else text
