"""Keras files that both generations of tf_keras read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import tf_keras as keras

from models import serving
from models.generations import make_readable


def model() -> keras.Model:
    x = keras.Input((3,), name="x_xf")
    return keras.Model({"x_xf": x}, keras.layers.Dense(2)(x))


def config_of(file: Path) -> dict:
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("config.json"))


def write(file: Path, config: dict) -> None:
    with zipfile.ZipFile(file) as archive:
        content = {entry: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(file, "w") as archive:
        for entry, data in content.items():
            archive.writestr(entry, json.dumps(config) if entry.filename == "config.json" else data)


def test_key_that_older_readers_refuse_is_left_out(tmp_path: Path) -> None:
    file, one = tmp_path / "model.keras", model()
    serving.save_keras(one, str(file))
    written = config_of(file)
    inputs = [layer for layer in written["config"]["layers"] if layer["class_name"] == "InputLayer"]
    assert [layer["config"].get("optional") for layer in inputs] == [None]
    # As tf_keras 2.21 writes it.
    for layer in inputs:
        layer["config"]["optional"] = False
    write(file, written)
    make_readable(str(file))
    assert "optional" not in json.dumps(config_of(file))
    rows = {"x_xf": np.ones((2, 3), np.float32)}
    np.testing.assert_array_equal(serving.load_keras(str(file))(rows), one(rows))


def test_input_that_really_is_optional_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    serving.save_keras(model(), str(file))
    written = config_of(file)
    written["config"]["layers"][0]["config"]["optional"] = True
    write(file, written)
    before = file.read_bytes()
    make_readable(str(file))
    assert file.read_bytes() == before
