"""Scores raw rows on a device with this package, NumPy and the LiteRT runtime; Python 3.9 or newer.

    pip install numpy ai-edge-litert
    python predict.py rows.csv [--limit N]    # CSV with a header line; an empty cell is a missing value; - reads stdin
    python predict.py rows.jsonl              # a JSON object a line; null or no such key is a missing value
    python predict.py --check                 # are the files of the package those that SHA256SUMS lists?

From Python: `Predictor(folder).predict({"fare": [12.5, None], "company": ["Flash Cab", ""]})`.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import importlib
import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Record = Mapping[str, Any]

CROSS_MULTIPLIER = 1_000_003
MAX_BATCH = 1024
KINDS = "numeric, bucketized, categorical, integer_categorical, cyclical, crossed"
MAX_FLOAT = float(np.finfo(np.float32).max)


class Predictor:
    """Scores raw values by the rules, constants and model of one package."""

    def __init__(self, folder: str | Path = "."):
        """Read metadata.json and the vocabularies; the model is loaded when it is first needed."""
        self._folder = Path(folder)
        metadata = json.loads((self._folder / "metadata.json").read_text(encoding="utf-8"))
        self._inputs, (self._output,) = metadata["inputs"], metadata["outputs"]
        self._features = sorted(metadata["features"], key=lambda record: record["kind"] == "crossed")  # reads others' ids
        self._vocabularies = {r["feature"]: Vocabulary(self._folder, r) for r in self._features if r["kind"] == "categorical"}
        self.columns = sorted({record["column"] for record in self._features if "column" in record})
        self._num_units, classes = self._output["shape"][-1], metadata["label"]["classes"]
        self.names = classes[-self._num_units :] or ["prediction"]  # a binary model's one unit is the second class

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> np.ndarray:
        """Return scores, float32 (n, units), each as `names` says; takes and raises what `encode` does."""
        encoded = self.encode(columns)
        inputs = {record["name"]: _model_input(record, encoded) for record in self._inputs}
        num_rows, fixed = len(next(iter(inputs.values()))), max(0, self._inputs[0]["shape"][0])
        outputs = [np.empty((0, self._num_units), np.float32)]
        for start in range(0, num_rows, fixed or MAX_BATCH):
            size = fixed or min(MAX_BATCH, num_rows - start)  # a fixed batch is filled up by repetition
            part = {name: np.resize(x[start : start + size], (size, x.shape[1])) for name, x in inputs.items()}
            outputs.append(self._invoke(part)[: num_rows - start])
        return np.concatenate(outputs)

    def encode(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
        """Return {transformed name: (n, width)}, int64 ids and float32 numbers, for {raw column: n values}.

        All of `self.columns` must be there. Numbers may come as text; None, "" and NaN are missing. Raises ValueError for an
        absent or shorter column, for what should be a number and is none, and for an unknown value that has to be hashed.
        """
        if absent := [name for name in self.columns if name not in columns]:
            raise ValueError(f"No column {absent}. Expected {self.columns}, received {sorted(columns)}. Add it, even if empty.")
        lengths = {name: len(columns[name]) for name in self.columns}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Columns differ in length: {lengths}. Give one value a row, None where it is missing.")
        encoded: dict[str, np.ndarray] = {}
        for record in self._features:
            name, kind = record["inputs"][0], record["kind"]
            if kind == "crossed":
                parts = [encoded[part] for part in record["of"]]  # int64 wraps around, as it does in C and in TensorFlow
                encoded[name] = functools.reduce(lambda h, ids: h * CROSS_MULTIPLIER + ids, parts) % record["num_buckets"]
            elif kind == "categorical":
                encoded[name] = self._vocabularies[record["feature"]].ids(columns[record["column"]])
            else:
                x = np.array([_number(record["column"], value) for value in columns[record["column"]]], np.float32)
                encoded[name] = _encoded(record, x.reshape(-1, 1))
                if kind == "numeric":
                    encoded[record["inputs"][1]] = np.isnan(x).astype(np.float32).reshape(-1, 1)
        return encoded

    @functools.cached_property
    def _model(self) -> tuple[Any, dict[str, int], int]:
        """Return the interpreter, the positions of its inputs by name, and that of its output."""
        interpreter = interpreter_class()(model_path=str(self._folder / "model.tflite"))
        signature = interpreter.get_signature_runner()  # not kept: the interpreter does not resize while it is referred to
        inputs, outputs = signature.get_input_details(), signature.get_output_details()
        return interpreter, {name: x["index"] for name, x in inputs.items()}, outputs[self._output["name"]]["index"]

    def _invoke(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        interpreter, positions, output = self._model
        for name, x in inputs.items():
            interpreter.resize_tensor_input(positions[name], x.shape)
        interpreter.allocate_tensors()
        for name, x in inputs.items():
            interpreter.set_tensor(positions[name], x)
        interpreter.invoke()
        scores, scale = interpreter.get_tensor(output).astype(np.float32), self._output["scale"]
        return (scores - self._output["zero_point"]) * np.float32(scale) if scale else scores


class Vocabulary:
    """The known values of a categorical feature, in the order of their ids."""

    def __init__(self, folder: Path, record: Record):
        """Read the file that the feature's record names."""
        self._record = record
        # Only \n ends a line: a value may hold any other separator of Unicode.
        values = (folder / record["vocabulary"]).read_bytes().decode().split("\n")[:-1]
        self._ids = {"": 0, **{value: 1 + line for line, value in enumerate(values)}}
        # In a column of numbers "3.0" stands for "3"; in one of text it is another value.
        self._of_numbers = record["column_type"] != "text"

    def ids(self, column: Sequence[Any]) -> np.ndarray:
        """Return int64 (n, 1): 0 for a missing value, 1 + line for a known one, 1 + size for any other."""
        return np.array([self._id(value) for value in column], np.int64).reshape(-1, 1)

    def _id(self, value: Any) -> int:
        text = value if isinstance(value, str) and not self._of_numbers else _spelled(value)
        if text not in self._ids and self._record["num_oov_buckets"] > 1:
            raise ValueError(
                f"Column '{self._record['column']}' holds '{text}', unknown to {self._record['vocabulary']}. Expected a known "
                "value: there is no farmhash here to choose from several ids. Add it, or train with `num_oov_buckets: 1`."
            )
        return self._ids.get(text, 1 + self._record["vocabulary_size"])


def interpreter_class() -> Any:
    """Return the Interpreter of the first runtime that is installed; raises ImportError if there is none."""
    reasons = []
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow"):
        try:
            module = importlib.import_module(name)
            return module.lite.Interpreter if name == "tensorflow" else module.Interpreter
        except ImportError as error:
            reasons.append(str(error))
    raise ImportError(f"No LiteRT runtime: {'; '.join(reasons)}. Run `pip install ai-edge-litert`.")


def _model_input(record: Record, encoded: Mapping[str, np.ndarray]) -> np.ndarray:
    parts = record.get("features", [{"name": record["name"]}])  # several when the input packs several
    x, dtype = np.concatenate([encoded[part["name"]] for part in parts], axis=1), np.dtype(record["dtype"])
    if not record["scale"]:
        return x.astype(dtype)
    return np.clip(np.round(x / record["scale"]) + record["zero_point"], np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def _encoded(record: Record, x: np.ndarray) -> np.ndarray:
    """Encode numbers, float32 (n, 1), NaN where missing, by the rule of their feature: int64 ids or float32, (n, width)."""
    missing, x64 = np.isnan(x), x.astype(np.float64)
    if record["kind"] == "numeric":
        x64 = np.sign(x64) * np.log1p(np.abs(x64)) if record["log"] else x64
        return np.where(missing, 0, (x64 - record["mean"]) / record["std"]).astype(np.float32)
    if record["kind"] == "bucketized":
        buckets = np.searchsorted(np.array(record["boundaries"], np.float32), x, side="right")
        return np.where(missing, 0, 1 + buckets).astype(np.int64)
    if record["kind"] == "integer_categorical":
        known = (x64 >= 0) & (x64 < record["num_values"]) & (x64 == np.floor(x64))
        return np.where(missing, 0, 1 + np.where(known, x64, record["num_values"])).astype(np.int64)
    if record["kind"] == "cyclical":
        angle = np.float32(2 * math.pi) * x / np.float32(record["period"])
        return np.where(missing, np.float32(0), np.concatenate([np.sin(angle), np.cos(angle)], axis=1))
    raise ValueError(f"Feature '{record['feature']}' is '{record['kind']}'. Expected one of: {KINDS}. Encode it yourself.")


def _number(column: str, value: Any) -> float:
    """Return NaN for a missing value; raises ValueError for what is no finite float32."""
    x = float(value) if _is_number(value) else math.inf if value else math.nan
    if abs(x) > MAX_FLOAT:
        raise ValueError(f"Column '{column}' holds {value!r}. Expected a finite 32-bit float, or nothing where it is missing.")
    return x


def _is_number(value: Any) -> bool:
    try:
        return float(value) is not None
    except (OverflowError, TypeError, ValueError):
        return False


def _spelled(value: Any) -> str:
    """Return the text that a value is looked up as: 3.0 as "3", 0.5 as "0.5" (C's %g of a float32), "" when missing."""
    if isinstance(value, str) and _is_number(value):
        value = int(value) if value.lstrip("+-").isdigit() else float(value)
    if not isinstance(value, (float, np.floating)):
        return "" if value is None else str(value)
    x = float(np.float32(value))
    whole = x.is_integer() and abs(x) < 2.0**63
    return "" if math.isnan(x) else str(int(x)) if whole else f"{x:g}"


def read_rows(path: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file (`-`: of stdin) or of a `.jsonl` file, there with None for columns without a key."""
    source = sys.stdin.fileno() if path == "-" else path
    with open(source, encoding="utf-8-sig", errors="replace", newline="", closefd=path != "-") as file:
        if path.endswith(".jsonl"):
            yield from ({**dict.fromkeys(columns), **json.loads(line)} for line in file if line.strip())
            return
        reader = csv.DictReader(file)
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"{path} line {reader.line_num} has another number of cells than the header. Quote commas.")
            yield row


def print_scores(folder: Path, path: str, limit: int | None) -> None:
    """Print the names of the scores, then the scores of each row, as CSV."""
    predictor = Predictor(folder)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(predictor.names)
    rows = itertools.islice(read_rows(path, predictor.columns), limit)
    while chunk := list(itertools.islice(rows, MAX_BATCH)):
        columns = {name: [row.get(name) for row in chunk] for name in chunk[0]}
        # By way of Python's floats: NumPy spells 1005001.0 as 1.005001e+06 in some versions.
        writer.writerows([float(str(score)) for score in scores] for scores in predictor.predict(columns))


def check(folder: Path) -> None:
    """Raise ValueError unless every file that SHA256SUMS lists is there, unchanged."""
    digests = dict(line.split("  ", 1)[::-1] for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    contents = {name: (folder / name).read_bytes() for name in digests if (folder / name).is_file()}
    wrong = [name for name, digest in digests.items() if hashlib.sha256(contents.get(name, b"")).hexdigest() != digest]
    if wrong:
        raise ValueError(f"Missing or changed: {wrong}. Expected what SHA256SUMS lists. Copy the package again.")
    print(f"{len(digests)} files are as SHA256SUMS lists them")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", default="-", help="a CSV or .jsonl file; default: CSV on stdin")
    parser.add_argument("--limit", type=int, help="score only the first N rows")
    parser.add_argument("--check", action="store_true", help="verify the package instead")
    options = parser.parse_args(arguments)
    folder = Path(__file__).resolve().parent
    try:
        check(folder) if options.check else print_scores(folder, options.rows, options.limit)
    except (ImportError, OSError, ValueError, csv.Error) as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
