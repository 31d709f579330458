"""Transform without Beam: it learns, writes and transforms what TFT does on Beam."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from every_kind import FEATURES, LABELS, RAW_SPEC, Analyzed, example_of

from pipeline.columnar import transforming
from pipeline.columnar.analysis import UnsupportedAnalyzerError
from pipeline.columnar.shards import write_shard
from pipeline.columnar.transforming import Split, transform
from preprocessing import tabular
from preprocessing.features import transformed_name
from preprocessing.labels import transform_label

Inputs = Mapping[str, tf.Tensor | tf.SparseTensor]


def preprocessing_fn(inputs: Inputs) -> dict[str, tf.Tensor]:
    outputs = tabular.transform(inputs, FEATURES)
    return outputs | {transformed_name(name): transform_label(inputs[name], label) for name, label in LABELS.items()}


def read(folder: Path, spec: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Return all transformed examples of a folder in the order of the files."""
    files = sorted(str(path) for path in folder.iterdir())
    records = list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    return {name: x.numpy() for name, x in tf.io.parse_example(tf.constant(records), spec).items()}


@pytest.fixture(scope="module")
def examples(analyzed: Analyzed, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The rows of `analyzed` in two files."""
    folder = tmp_path_factory.mktemp("examples")
    files = [str(folder / name) for name in ("examples-00000.gz", "examples-00001.gz")]
    for i, file in enumerate(files):
        write_shard(file, [example_of(row).SerializeToString() for row in analyzed.rows[i * 100 : i * 100 + 100 + 40 * i]])
    return files


@pytest.fixture(scope="module")
def columnar(examples: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `transform` leaves, made in blocks far smaller than the data."""
    folder = tmp_path_factory.mktemp("columnar")
    schema = tft.DatasetMetadata.from_feature_spec(RAW_SPEC).schema
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforming, "BATCH_SIZE", 33)
        transform(preprocessing_fn, schema, examples, [Split(examples, str(folder / "train"))], str(folder / "graph"))
    return folder


def test_transformed_examples_are_those_of_the_graph_that_beam_learned(analyzed: Analyzed, columnar: Path):
    found, expected = read(columnar / "train", analyzed.transform.transformed_feature_spec()), analyzed.apply(analyzed.rows)
    assert found.keys() == expected.keys()
    for name, x in expected.items():
        assert found[name].dtype == x.dtype, name
        # The last digit of a float32 mean of 100,000, over a deviation of 3.
        tolerance = 3e-3 if name == "odometer_xf" else 2e-5
        np.testing.assert_allclose(found[name], x, rtol=0, atol=tolerance, err_msg=name)


def test_a_shard_for_every_file(columnar: Path):
    assert sorted(os.listdir(columnar / "train")) == [f"transformed_examples-0000{i}-of-00002.gz" for i in range(2)]


def test_metadata_is_that_of_beam(analyzed: Analyzed, columnar: Path):
    mine = tft.TFTransformOutput(str(columnar / "graph"))
    assert mine.transformed_metadata.schema == analyzed.transform.transformed_metadata.schema
    assert mine.raw_metadata.schema == analyzed.transform.raw_metadata.schema
    for name in ("company", "payment", "code", "zone", "never_said"):
        assert mine.vocabulary_by_name(name) == analyzed.transform.vocabulary_by_name(name), name


def run(
    function: Callable[[Inputs], Mapping[str, tf.Tensor]], folder: Path, values: list[float | None]
) -> dict[str, np.ndarray]:
    """Learn from a column `x` and return it transformed."""
    file = str(folder / "x.gz")
    lists = [[] if value is None else [value] for value in values]
    features = [{"x": tf.train.Feature(float_list=tf.train.FloatList(value=x))} for x in lists]
    write_shard(file, [tf.train.Example(features=tf.train.Features(feature=f)).SerializeToString() for f in features])
    schema = tft.DatasetMetadata.from_feature_spec({"x": tf.io.FixedLenFeature([], tf.float32)}).schema
    transform(function, schema, [file], [Split([file], str(folder / "out"))], str(folder / "graph"))
    return read(folder / "out", tft.TFTransformOutput(str(folder / "graph")).transformed_feature_spec())


def test_analyzer_that_needs_what_another_finds_takes_a_second_pass(tmp_path: Path):
    def function(inputs: Inputs) -> dict[str, tf.Tensor]:
        shifted = inputs["x"] - tft.min(inputs["x"])
        return {"y": shifted / tft.max(shifted)}

    assert run(function, tmp_path, [3.0, 5.0, 7.0])["y"].tolist() == [0.0, 0.5, 1.0]


def test_function_without_analyzers_needs_no_pass(tmp_path: Path):
    assert run(lambda inputs: {"y": inputs["x"] * 2.0}, tmp_path, [1.0, 2.0])["y"].tolist() == [2.0, 4.0]


def test_analyzer_of_beam_only_is_named(tmp_path: Path):
    def function(inputs: Inputs) -> dict[str, tf.Tensor]:
        key = tf.strings.as_string(inputs["x"] > 0)
        return {"y": tft.scale_to_z_score_per_key(inputs["x"], key)}

    with pytest.raises(UnsupportedAnalyzerError, match=r"CacheableCombinePerKeyAccumulate runs on Beam only\.$"):
        run(function, tmp_path, [1.0, 2.0])


def test_function_without_outputs_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"^The preprocessing function returned no outputs\.$"):
        run(lambda inputs: {}, tmp_path, [1.0])
