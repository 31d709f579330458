"""Files to split TFRecords of tf.Example: which rows are unusable, who goes where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from pipeline.data_config import SIDES, Side
from pipeline.errors import DataError
from pipeline.ingest.blocks import BadRow, Block, Reader
from pipeline.ingest.data_files import DataFile
from pipeline.ingest.formats import READERS
from pipeline.ingest.label_values import LabelValues, spelled
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.splitting import split_rows
from pipeline.ingest.tfrecords import Writer, frame
from pipeline.ingest.threads import in_order

NUM_REPORTED = 5
NUM_LISTED = 1000
ROWS_PER_PART = 16_384  # of a block, for one thread


@dataclass
class IngestReport:
    """What came of it. Written as JSON beside the examples."""

    examples: dict[str, int] = field(default_factory=dict)
    quarantined: list[BadRow] = field(default_factory=list)
    num_quarantined: int = 0
    types: dict[str, str] = field(default_factory=dict)
    files: list[DataFile] = field(default_factory=list)
    sha256: str | None = None  # of all files

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


class Quarantine(Protocol):
    """A file for rows that cannot be used: a line of JSON each."""

    def write(self, line: str) -> object: ...


@dataclass(frozen=True)
class _Part:
    """What one thread made of some rows of a file: framed examples by split, unusable rows, the label's values."""

    file: str
    num_rows: int
    framed: Mapping[Side, pa.BinaryArray]
    bad: list[BadRow]
    label_values: list[str]


def ingest(
    files: Sequence[str],
    settings: IngestSettings,
    writers: Mapping[Side, Writer],
    quarantine: Quarantine,
    max_rows: int | None = None,
) -> IngestReport:
    """Convert, check and split.

    Args:
      files: of one format, with the same columns.
      settings: what the config says of the data.
      writers: {split: where its examples go}.
      quarantine: where all unusable rows go, in the order of the files; the report holds the first ones only.
      max_rows: go no further than the part of a block in which this many are reached; what the columns hold is still found out
        from all rows.

    Raises:
      DataError: no rows, too many unusable ones, files that differ in their columns, no label, one that cannot be learned.
    """
    reader = READERS[settings.kind](files, settings)
    report = IngestReport(dict.fromkeys(SIDES, 0), types=reader.types)
    labels, num_rows = LabelValues(), dict.fromkeys(files, 0)
    for part in in_order(_converter(reader, settings), _parts(reader)):
        num_rows[part.file] += part.num_rows
        report.num_quarantined += len(part.bad)
        report.quarantined += part.bad[: NUM_LISTED - len(report.quarantined)]
        quarantine.write("".join(f"{row.to_json()}\n" for row in part.bad))
        labels.add(part.label_values)
        for name, framed in part.framed.items():
            report.examples[name] += len(framed)
            writers[name].write(framed)
        if max_rows is not None and sum(num_rows.values()) >= max_rows:
            break
    report.files = [DataFile(path, rows) for path, rows in num_rows.items()]
    _check(report, labels, settings)
    return report


def _check(report: IngestReport, labels: LabelValues, settings: IngestSettings) -> None:
    """Refuse what cannot be learned from, as `ingest` says."""
    files, total = [file.path for file in report.files], sum(file.rows for file in report.files)
    if not total:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise DataError(f"There is not a single row in {files[0]}{more}. Bring rows, or check `data.path`.")
    _check_bad_rows(report, total, settings.max_bad_rows)
    labels.check(settings.label)
    if empty := [name for name, count in report.examples.items() if not count]:
        raise DataError(f"Split '{empty[0]}' got none of the {total} rows. Bring more rows, or change `data.split`.")


def _parts(reader: Reader) -> Iterator[Block]:
    for block in reader.blocks():
        yield from block.parts(ROWS_PER_PART)


def _converter(reader: Reader, settings: IngestSettings) -> Callable[[Block], _Part]:
    def convert(block: Block) -> _Part:
        rows = reader.rows(block)
        label = rows.values[settings.label.column]
        sides = split_rows(rows, settings.split)
        unlabelled = np.flatnonzero(label.is_null().to_numpy(zero_copy_only=False)).tolist()
        no_label = dict.fromkeys(unlabelled, f"the label '{settings.label.column}' is empty")
        unusable = sides.unusable | no_label | rows.unusable
        keep = np.ones(len(block.rows), bool)
        keep[list(unusable)] = False
        framed = frame(rows.records)
        bad = [BadRow(block.file, int(block.rows[i]), reason) for i, reason in unusable.items()]
        return _Part(
            file=block.file,
            num_rows=len(block.rows) + len(block.bad),
            framed={name: framed.filter(pa.array(keep & (sides.positions == i))) for i, name in enumerate(SIDES)},
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
        f"`data.max_bad_rows` allows {max_share:.1%}. {first}{more}. Mend them, or raise `data.max_bad_rows` to set them aside "
        "and have them all in quarantine.jsonl beside the examples."
    )
