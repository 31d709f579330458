"""Files to split TFRecords of tf.Example: which rows are unusable, who goes where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
import pydantic

from pipeline.errors import DataError
from pipeline.ingest.blocks import BadRow, Block, Reader
from pipeline.ingest.csv_reader import CsvReader
from pipeline.ingest.label_values import LabelValues, spelled
from pipeline.ingest.splitting import by_hash
from pipeline.ingest.tfrecords import Writer, frame
from pipeline.ingest.threads import in_order
from preprocessing.features import Label

NUM_REPORTED = 5
NUM_LISTED = 1000
ROWS_PER_PART = 16_384  # of a block, for one thread


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


@dataclass(frozen=True)
class _Part:
    """What one thread made of some rows: framed examples by split, unusable rows, the label's values."""

    num_rows: int
    framed: Mapping[str, pa.BinaryArray]
    bad: list[BadRow]
    label_values: list[str]


def ingest(
    files: Sequence[str],
    contract: Contract,
    split_weights: Mapping[str, int],
    writers: Mapping[str, Writer],
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
    reader = CsvReader(files, contract)
    report = IngestReport(dict.fromkeys(split_weights, 0), types=reader.types)
    labels, num_rows = LabelValues(), 0
    for part in in_order(_converter(reader, contract, split_weights), _parts(reader)):
        num_rows += part.num_rows
        report.num_quarantined += len(part.bad)
        report.quarantined += part.bad[: NUM_LISTED - len(report.quarantined)]
        labels.add(part.label_values)
        for name, framed in part.framed.items():
            report.examples[name] += len(framed)
            writers[name].write(framed)
    _check_bad_rows(report, num_rows, contract.max_bad_rows)
    labels.check(contract.label)
    if empty := [name for name, count in report.examples.items() if not count]:
        raise DataError(f"Split '{empty[0]}' got none of the {num_rows} rows. Bring more rows, or change `data.split`.")
    return report


def _parts(reader: Reader) -> Iterator[Block]:
    for block in reader.blocks():
        yield from block.parts(ROWS_PER_PART)


def _converter(reader: Reader, contract: Contract, split_weights: Mapping[str, int]) -> Callable[[Block], _Part]:
    def convert(block: Block) -> _Part:
        rows = reader.rows(block)
        label = rows.values[contract.label.column]
        unlabelled = np.flatnonzero(label.is_null().to_numpy(zero_copy_only=False)).tolist()
        unusable = dict.fromkeys(unlabelled, f"the label '{contract.label.column}' is empty") | rows.unusable
        keep = np.ones(len(block.rows), bool)
        keep[list(unusable)] = False
        sides, framed = by_hash(rows, split_weights), frame(rows.records)
        bad = [BadRow(block.file, int(block.rows[i]), reason) for i, reason in unusable.items()]
        return _Part(
            num_rows=len(block.rows) + len(block.bad),
            framed={name: framed.filter(pa.array(keep & (sides == i))) for i, name in enumerate(split_weights)},
            bad=sorted([*block.bad, *bad], key=lambda row: row.row),
            label_values=spelled(label.filter(pa.array(keep))),
        )

    return convert


def _check_bad_rows(report: IngestReport, num_rows: int, max_share: float) -> None:
    if report.num_quarantined <= max_share * num_rows:
        return
    first = "; ".join(map(str, report.quarantined[:NUM_REPORTED]))
    more = f" and {report.num_quarantined - NUM_REPORTED} more" if report.num_quarantined > NUM_REPORTED else ""
    raise DataError(
        f"{report.num_quarantined} of {num_rows} rows cannot be used ({report.num_quarantined / num_rows:.1%}); "
        f"`data.max_bad_rows` allows {max_share:.1%}. {first}{more}. Mend them, or raise `data.max_bad_rows` to set them aside."
    )
