"""Config files that tests write and load, an edge package of a small model, and a small Google on this machine."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:  # imports TensorFlow
    from fake_google import FakeGoogle
    from mini_config import Load

    from pipeline.config import PipelineConfig

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mini.yaml"


@pytest.fixture
def load(path: Path) -> Load:
    """Write a config that differs from MINI in some sections, and load it."""
    from mini_config import MINI

    from pipeline.config import load_config

    def write_and_load(*overrides: str, without: str = "", **sections: Any) -> PipelineConfig:
        values = {name: value for name, value in (copy.deepcopy(dict(MINI)) | sections).items() if name != without}
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_config(path, overrides)

    return write_and_load


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """One that knows of nothing yet, and credentials for it."""
    from fake_google import NOWHERE, fake_google

    with fake_google() as google:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.credentials_file(tmp_path)))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        # google-auth asks Google, on a thread of its own, where the account may work: that must not leave this machine.
        monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
        yield google


@pytest.fixture
def packed_package(tmp_path: Path) -> Path:
    """A model of two packed inputs whose output spells them: 1000 * b + 100 * a + 10 * (d's id) + (c's id)."""
    import tensorflow as tf
    from edge_packages import flatbuffer, id_features, number_features, write_package

    model = flatbuffer(
        lambda numbers, ids: (
            tf.reduce_sum(numbers * [[1000.0, 100.0, 1e6]], 1, keepdims=True)
            + tf.reduce_sum(tf.cast(ids, tf.float32) * [[10.0, 1.0]], 1, keepdims=True)
        ),
        tf.TensorSpec([None, 3], tf.float32, "numbers"),
        tf.TensorSpec([None, 2], tf.int32, "ids"),
    )
    packed = {"numbers": ["b_xf", "a_xf", "a_xf_missing"], "ids": ["d_xf", "c_xf"]}
    features = [*number_features("a", "b"), *id_features("c", "d")]
    return write_package(tmp_path / "package", features, model=model, packed=packed)
