"""The runner of an edge package gives its model what the flatbuffer takes, and returns and names what comes out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from edge_packages import flatbuffer, number_features, write_package

from models.compression.tflite import EdgeModel
from pipeline.edge_runner import predict
from pipeline.edge_runner.predict import Predictor


def test_packed_inputs_are_joined_in_the_order_of_the_metadata(packed_package):
    scores = Predictor(packed_package).predict({"a": [3, None], "b": [2, 5], "c": [6, 0], "d": ["4", ""]})
    assert scores.tolist() == [[2357.0], [1005001.0]]
    assert scores.dtype == np.float32


def test_rows_beyond_a_batch_are_scored_as_if_alone(packed_package):
    predictor = Predictor(packed_package)
    columns = {name: [i % 9 for i in range(3, 3 + 2 * predict.MAX_BATCH + 5)] for name in "abcd"}
    together = predictor.predict(columns)
    assert together.shape == (2 * predict.MAX_BATCH + 5, 1)
    for i in (0, 1, predict.MAX_BATCH - 1, predict.MAX_BATCH, len(together) - 1):
        alone = predictor.predict({name: values[i : i + 1] for name, values in columns.items()})
        assert alone == together[i]
    assert predictor.predict({name: [] for name in "abcd"}).shape == (0, 1)


@pytest.mark.parametrize("batch", [1, 4])
def test_model_of_a_fixed_batch_is_called_as_often_as_needed(tmp_path, batch):
    model = flatbuffer(lambda a_xf: tf.concat([a_xf * 2, a_xf + 1], 1), tf.TensorSpec([batch, 1], tf.float32, "a_xf"))
    predictor = Predictor(write_package(tmp_path, number_features("a"), model=model))
    assert predictor.predict({"a": range(6)}).tolist() == [[2.0 * i, i + 1.0] for i in range(6)]


def test_integer_inputs_and_outputs_are_converted_by_their_scale(tmp_path):
    spec = tf.TensorSpec([None, 1], tf.float32, "a_xf")
    package = write_package(tmp_path, number_features("a"), model=flatbuffer(lambda a_xf: 0.5 * a_xf, spec, integer=True))
    described = json.loads((package / "metadata.json").read_text())
    assert [described[key][0]["dtype"] for key in ("inputs", "outputs")] == ["int8", "int8"]
    values = np.array([-1.1, -0.3, 0.0, 0.77, 1.1], np.float32)
    scores = Predictor(package).predict({"a": [*values, -50.0, 50.0]})
    assert (scores[5], scores[6]) == (scores[0], scores[4])  # saturated, not wrapped around
    np.testing.assert_allclose(scores[1:4, 0], values[1:4] / 2, atol=1.5 * described["outputs"][0]["scale"])
    edge = EdgeModel((package / "model.tflite").read_bytes())
    np.testing.assert_array_equal(scores[:5], edge.predict({"a_xf": values[:, None]}))


@pytest.mark.parametrize(
    ("classes", "units", "names"),
    [
        (["no", "yes"], 1, ["yes"]),
        (["no", "yes"], 2, ["no", "yes"]),
        (["a", "b", "c"], 3, ["a", "b", "c"]),
        ([], 1, ["prediction"]),
    ],
)
def test_scores_are_named(tmp_path, classes, units, names):
    model = flatbuffer(lambda a_xf: tf.tile(a_xf, [1, units]), tf.TensorSpec([None, 1], tf.float32, "a_xf"))
    assert Predictor(write_package(tmp_path, number_features("a"), model=model, classes=classes)).names == names


def test_absence_of_a_runtime_is_said(packed_package, monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(predict.importlib, "import_module", missing)
    predictor = Predictor(packed_package)
    assert predictor.encode({"a": [1], "b": [1], "c": [1], "d": [1]})["c_xf"].tolist() == [[2]]
    with pytest.raises(ImportError) as caught:
        predictor.predict({"a": [1], "b": [1], "c": [1], "d": [1]})
    assert str(caught.value) == (
        "No LiteRT runtime: No module named 'ai_edge_litert.interpreter'; No module named 'tflite_runtime.interpreter'; "
        "No module named 'tensorflow'. Run `pip install ai-edge-litert`."
    )
