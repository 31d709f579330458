"""Trains as a custom training job of Vertex AI, outside of any pipeline: `python -m pipeline.vertex.train_job --config C`.

The stages up to the Trainer run in the container as they run on a laptop: there is one code path of training. What Vertex AI
says in the environment is followed: data of a managed dataset (AIP_TRAINING_DATA_URI, AIP_VALIDATION_DATA_URI, as CSV), where
the SavedModel goes (AIP_MODEL_DIR), where TensorBoard's logs go (AIP_TENSORBOARD_LOG_DIR), the other workers (TF_CONFIG).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.cluster import is_evaluator
from pipeline import exit_codes
from pipeline.errors import ConfigError, DataError
from pipeline.local.telling import exit_code
from pipeline.vertex.task import leave_out_helpers

_SPLIT_COLUMN, _TRAIN, _EVAL = "aip_ml_use", "training", "validation"
_TRAINER = "Trainer"


@dataclass(frozen=True)
class Job:
    """What Vertex AI says.

    Attributes:
      model: folder for the SavedModel; None: it stays in the root.
      logs: folder for TensorBoard's logs; None: they stay there.
      training: pattern of CSV files; None: the config's own data.
      validation: the same; None: the config splits the training data.
    """

    model: str | None
    logs: str | None
    training: str | None
    validation: str | None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Job:
        """Read it from the environment of a container.

        Raises:
          ConfigError: the data has a form that is not read here.
        """
        training, form = environment.get("AIP_TRAINING_DATA_URI"), environment.get("AIP_DATA_FORMAT", "csv")
        if training and form != "csv":
            raise ConfigError(
                f"AIP_DATA_FORMAT: expected csv, found '{form}'. Export the dataset as CSV; rows of BigQuery are read by "
                "a config with `data: {kind: bigquery}` and no managed dataset."
            )
        validation = environment.get("AIP_VALIDATION_DATA_URI")
        return cls(environment.get("AIP_MODEL_DIR"), environment.get("AIP_TENSORBOARD_LOG_DIR"), training, validation)


def main(arguments: Sequence[str]) -> int:
    """Train; return the exit code, which is that of `runner_local.py run`."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.vertex.train_job", allow_abbrev=False)
    parser.add_argument("--config", type=Path, required=True, help="The experiment: a YAML file of the image.")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="Override one value of the config.")
    parser.add_argument("--root", type=Path, help="For everything on the way. Default: a folder that is removed.")
    asked = parser.parse_args(list(arguments))
    leave_out_helpers(os.environ)
    if is_evaluator():
        print("An evaluator has nothing to do in a training without a pipeline.", flush=True)
        return exit_codes.OK
    return exit_code(lambda: _in_a_folder(asked))


def _in_a_folder(asked: argparse.Namespace) -> int:
    job = Job.read(os.environ)
    with tempfile.TemporaryDirectory(prefix="train-") as scratch:
        root = asked.root or Path(scratch) / "root"
        overrides = [*asked.overrides, *_data(job, Path(scratch))]
        if job.training and job.validation:
            overrides += _schema(asked.config, overrides, Path(scratch))
        return _train(job, asked.config, root, overrides)


def _data(job: Job, folder: Path) -> list[str]:
    """Bring the dataset's files here; return what of the config they take the place of."""
    if not job.training:
        return []
    file = folder / "data.csv"
    parts = {_TRAIN: job.training} | ({_EVAL: job.validation} if job.validation else {})
    gather(parts, file)
    overrides = [f"data.path={file}"]
    if job.validation:
        split = {"by": "column", "column": _SPLIT_COLUMN, "train": [_TRAIN], "eval": [_EVAL]}
        overrides.append(f"data.split={json.dumps(split)}")
    return overrides


def _schema(config: Path, overrides: Sequence[str], folder: Path) -> list[str]:
    """Have the config's schema know the column that says which part a row is of."""
    from pipeline.config import load_config

    schema = load_config(config, overrides).schema_file
    if not schema:
        return []
    file = folder / "schema.pbtxt"
    file.write_text(f'{Path(schema).read_text("utf-8")}\nfeature {{ name: "{_SPLIT_COLUMN}" type: BYTES }}\n', "utf-8")
    return [f"schema_file={file}"]


def gather(parts: Mapping[str, str], output: Path) -> None:
    """Write the rows of several CSV files to one, with a column that says which part each is of.

    Args:
      parts: {part: pattern of files, local or remote}; all have the same header.
      output: to be written.

    Raises:
      DataError: there is no such file, or one has another header.
    """
    header: list[str] | None = None
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for part, pattern in parts.items():
            for path, rows in _tables(pattern):
                found = next(rows, None)
                if header is None and found is not None:
                    header = found
                    writer.writerow([*header, _SPLIT_COLUMN])
                elif found != header:
                    raise DataError(f"{path}: expected the columns {header}, found {found}.")
                writer.writerows([*row, part] for row in rows)


def _tables(pattern: str) -> Iterator[tuple[str, Iterator[list[str]]]]:
    from tfx.dsl.io import fileio

    paths = sorted(fileio.glob(pattern))
    if not paths:
        raise DataError(f"There is no file {pattern}, which Vertex AI says the data is in.")
    for path in paths:
        with fileio.open(path, "r") as file:
            yield path, csv.reader(iter(file))


def _train(job: Job, config: Path, root: Path, overrides: Sequence[str]) -> int:
    from models.cluster import is_chief
    from pipeline.local.run import RunOptions, run

    code = run(RunOptions(config, root, overrides, last=_TRAINER))
    if code == exit_codes.OK and is_chief():  # the others have left nothing
        for what, output, target in (("Format-Serving", "model", job.model), ("tensorboard", "model_run", job.logs)):
            if target:
                _copy(_newest(root / "artifacts" / _TRAINER / output) / what, target)
    return code


def _newest(folder: Path) -> Path:
    return max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _copy(source: Path, target: str) -> None:
    """Copy a folder to one that may be remote; what readers look for comes last."""
    from tfx.dsl.io import fileio

    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    for path in sorted(files, key=lambda file: file.name == "saved_model.pb"):
        place = os.path.join(target, str(path.relative_to(source)))
        fileio.makedirs(os.path.dirname(place))
        fileio.copy(str(path), place, overwrite=True)
    print(f"{target}: {len(files)} files", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
