"""What a device team does with a pushed edge package: copy it to where neither TensorFlow nor this project is, and run it."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from pipeline_runs import Finished

from models.compression.tflite import EdgeModel
from pipeline.ingest.source import resolve_package

pytestmark = pytest.mark.e2e

RUNTIME = ("numpy==2.2.6", "ai-edge-litert==2.3.0")
DATA = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
NUM_ROWS = 15_002  # all of them: the agreement of any thousand lies between 0.965 and 0.991
ENCODE = """
import csv, sys
import numpy as np
from predict import Predictor

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
np.savez(sys.argv[2], **Predictor().encode({name: [row[name] for row in rows] for name in rows[0]}))
"""
RAW = """
import csv, json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
missing = {"float32": np.nan, "int64": np.iinfo(np.int64).min, "bytes": b""}
inputs = {}
for record in json.load(open("metadata.json"))["raw_model"]["inputs"]:
    values = [row[record["name"]].encode() or missing[record["dtype"]] for row in rows]
    dtype = object if record["dtype"] == "bytes" else record["dtype"]
    inputs[record["name"]] = np.array([[value] for value in values], object).astype(dtype)
runner = Interpreter(model_path="raw_model.tflite").get_signature_runner()
(scores,) = runner(**inputs).values()
np.savez(sys.argv[2], scores=scores)
"""


class Device:
    """A Python with NumPy and the LiteRT runtime, a copy of the package, and the first raw rows of the taxi data."""

    def __init__(self, folder: Path, python: Path, package: Path):
        self.python, self.package, self.csv = python, folder / "package", folder / "rows.csv"
        shutil.copytree(package, self.package)
        with open(resolve_package(DATA), newline="") as file:
            lines = list(itertools.islice(file, 1 + NUM_ROWS))
        self.csv.write_text("".join(lines))
        self.rows = list(csv.DictReader(lines))

    def run(self, *arguments: object) -> str:
        """Run the device's Python inside the package, with nothing of this process's environment that leads to modules."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        command = [str(argument) for argument in (self.python, *arguments)]
        done = subprocess.run(command, cwd=self.package, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def device(taxi: Finished, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    assert taxi.code == 0, taxi.output
    folder = tmp_path_factory.mktemp("device")
    python = folder / "venv" / "bin" / "python"
    uv = repository / ".tools" / "bin" / "uv"
    if uv.exists():
        create = [uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"]
        install = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        create = [sys.executable, "-m", "venv", folder / "venv"]
        install = [python, "-m", "pip", "install", "--quiet"]
    for command in (create, [*install, *RUNTIME]):
        subprocess.run([str(part) for part in command], check=True, timeout=600)
    return Device(folder, python, taxi.root / taxi.summary["pushed"]["edge"])


@pytest.fixture(scope="module")
def examples(taxi: Finished, device: Device) -> tf.Tensor:
    """The same rows as serialized tf.Examples, string (15002,), with the types that the pipeline found."""
    spec = tft.TFTransformOutput(str(taxi.folder("Transform", "transform_graph"))).raw_feature_spec()
    return tf.constant([_example(row, {name: feature.dtype for name, feature in spec.items()}) for row in device.rows])


@pytest.fixture(scope="module")
def server(taxi: Finished):
    return tf.saved_model.load(str(taxi.root / taxi.summary["pushed"]["saved_model"]))


@pytest.fixture(scope="module")
def transformed(server, examples: tf.Tensor) -> Mapping[str, np.ndarray]:
    """What TensorFlow Transform makes of the rows."""
    return {name: x.numpy() for name, x in server.signatures["transform_features"](examples=examples).items()}


@pytest.fixture(scope="module")
def printed(device: Device) -> list[list[str]]:
    """What the package's own predict.py prints for the rows."""
    return list(csv.reader(device.run("predict.py", device.csv).splitlines()))


def _example(row: Mapping[str, str], dtypes: Mapping[str, tf.DType]) -> bytes:
    example = tf.train.Example()
    for name, dtype in dtypes.items():
        if row[name] and dtype == tf.string:
            example.features.feature[name].bytes_list.value.append(row[name].encode())
        elif row[name] and dtype == tf.int64:
            example.features.feature[name].int64_list.value.append(int(row[name]))
        elif row[name]:
            example.features.feature[name].float_list.value.append(float(row[name]))
    return example.SerializeToString()


def _scores(printed: Sequence[Sequence[str]]) -> np.ndarray:
    return np.array(printed[1:], np.float32)


def test_device_has_neither_tensorflow_nor_this_project(device: Device) -> None:
    code = (
        "import importlib.util as u; print([n for n in ('tensorflow', 'tensorflow_transform', 'pipeline') if u.find_spec(n)])"
    )
    assert device.run("-c", code) == "[]\n"


def test_package_verifies_itself(device: Device) -> None:
    num_files = len((device.package / "SHA256SUMS").read_text().splitlines())
    assert device.run("predict.py", "--check") == f"{num_files} files are as SHA256SUMS lists them\n"


def test_one_probability_a_row_is_printed_under_the_positive_class(device: Device, printed: list[list[str]]) -> None:
    scores, tipped = _scores(printed), np.array([row["big_tipper"] == "1" for row in device.rows])
    assert printed[0] == ["1"]
    assert scores.shape == (NUM_ROWS, 1)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert scores.mean() == pytest.approx(tipped.mean(), abs=0.05)
    assert scores[tipped].mean() > 0.5 > 0.2 > scores[~tipped].mean()


def test_encoding_on_the_device_is_the_transforms(device: Device, transformed: Mapping[str, np.ndarray], tmp_path) -> None:
    """Measured: every id equal, numbers within 1e-6."""
    device.run("-c", ENCODE, device.csv, tmp_path / "encoded.npz")
    encoded = np.load(tmp_path / "encoded.npz")
    assert sorted(encoded) == sorted(set(transformed) - {"big_tipper_xf"})
    for name, x in encoded.items():
        assert x.dtype == transformed[name].dtype, name
        tolerance = 0 if x.dtype == np.int64 else 1e-5
        np.testing.assert_allclose(x, transformed[name], rtol=0, atol=tolerance, err_msg=name)


def test_scores_are_those_of_tensorflows_interpreter_on_transformed_rows(device, transformed, printed) -> None:
    """Tight: the same flatbuffer, but XNNPACK of another release may round an int8 step (1/256 of a probability) differently.

    Measured: no difference with XNNPACK in both; without it in one, a mean of 7e-5 and steps of up to 0.016 in 0.6 % of rows.
    """
    inputs = {}
    for record in json.loads((device.package / "metadata.json").read_text())["inputs"]:
        parts = [part["name"] for part in record.get("features", [record])]
        inputs[record["name"]] = np.concatenate([transformed[part] for part in parts], axis=1)
        if not record["scale"]:
            inputs[record["name"]] = inputs[record["name"]].astype(record["dtype"])
    expected = EdgeModel((device.package / "model.tflite").read_bytes()).predict(inputs)
    difference = np.abs(_scores(printed) - expected)
    assert difference.mean() < 5e-4
    assert difference.max() < 0.05


def test_scores_are_close_to_the_servers(server, examples: tf.Tensor, printed: list[list[str]]) -> None:
    """Loose: what compression costs is in it, and gated by the pipeline. Measured: a mean of 0.013, and 0.982 alike."""
    expected = server.signatures["serving_default"](examples=examples)["scores"].numpy()[:, 1:]
    difference = np.abs(_scores(printed) - expected)
    assert difference.mean() < 0.025
    assert np.mean((_scores(printed) > 0.5) == (expected > 0.5)) > 0.97


def test_raw_model_takes_the_cells_of_the_file_on_the_device(device: Device, printed: list[list[str]], tmp_path) -> None:
    """The same network behind the transform inside: ids, tables and text in the stock runtime. Measured: a mean of 2e-5."""
    device.run("-c", RAW, device.csv, tmp_path / "raw.npz")
    scores = np.load(tmp_path / "raw.npz")["scores"]
    assert scores.shape == (NUM_ROWS, 1)
    assert np.abs(scores - _scores(printed)).mean() < 5e-4
