"""The SavedModel a server loads, and the Keras file that compression starts from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import serving, tabular
from models.heads import Head
from preprocessing.labels import class_names

CONFIG = tabular.Config(embedding_dim=2, numeric_units=4, hidden=(8,), dropout=0.5)
COLUMNS = ("amount", "area", "payment")
HEADS = {"paid": Head("binary", 2), "species": Head("multiclass", 3), "price": Head("regression")}


@pytest.fixture(scope="module")
def exported(transformed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[keras.Model, tf.Module]]:
    """Export an untrained model for each label and load it again: {label: (model, loaded SavedModel)}."""
    keras.utils.set_random_seed(4)
    both = {}
    for column, head in HEADS.items():
        model = tabular.build(CONFIG, transformed.encoded, head)
        path = str(tmp_path_factory.mktemp(column) / "model")
        classes = class_names(transformed.labels[column], transformed.transform)
        serving.export(model, transformed.transform, COLUMNS, column, classes, path)
        both[column] = model, tf.saved_model.load(path)
    return both


def keras_outputs(transformed, model: keras.Model) -> np.ndarray:
    """Go the long way: TFT's layer, then the Keras model."""
    raw = tf.io.parse_example(tf.constant(transformed.examples), transformed.transform.raw_feature_spec())
    inputs = transformed.transform.transform_features_layer()(raw)
    return model({name: inputs[name] for name in model.input}, training=False).numpy()


def test_signatures_take_serialized_examples(exported):
    _, loaded = exported["paid"]
    assert sorted(loaded.signatures) == ["serving_default", "transform_features"]
    for signature in loaded.signatures.values():
        (spec,) = signature.structured_input_signature[1].values()
        assert (spec.name, spec.dtype, spec.shape.as_list()) == ("examples", tf.string, [None])


def test_binary_scores_name_both_classes_and_sum_to_one(transformed, exported):
    model, loaded = exported["paid"]
    served = loaded.signatures["serving_default"](examples=tf.constant(transformed.unlabelled["paid"]))
    assert sorted(served) == ["classes", "scores"]
    assert served["classes"].numpy().tolist() == [[b"not yes", b"yes"]] * 30
    probability = keras_outputs(transformed, model)
    np.testing.assert_allclose(served["scores"], np.hstack([1 - probability, probability]), atol=1e-6)
    np.testing.assert_allclose(served["scores"].numpy().sum(axis=1), np.ones(30), atol=1e-6)
    assert np.ptp(probability) > 0.01


def test_multiclass_scores_stand_in_the_order_of_the_vocabulary_and_sum_to_one(transformed, exported):
    model, loaded = exported["species"]
    served = loaded.signatures["serving_default"](examples=tf.constant(transformed.unlabelled["species"]))
    assert served["classes"].numpy().tolist() == [[b"setosa", b"virginica", b"versicolor"]] * 30
    np.testing.assert_allclose(served["scores"], keras_outputs(transformed, model), atol=1e-6)
    np.testing.assert_allclose(served["scores"].numpy().sum(axis=1), np.ones(30), atol=1e-6)


def test_regression_serves_one_prediction_per_example(transformed, exported):
    model, loaded = exported["price"]
    served = loaded.signatures["serving_default"](examples=tf.constant(transformed.unlabelled["price"]))
    assert sorted(served) == ["predictions"]
    np.testing.assert_allclose(served["predictions"], keras_outputs(transformed, model)[:, 0], atol=1e-6)


def test_served_scores_do_not_depend_on_the_batch_nor_on_a_label_sent_along(transformed, exported):
    serve = exported["paid"][1].signatures["serving_default"]
    together = serve(examples=tf.constant(transformed.unlabelled["paid"]))["scores"].numpy()
    alone = np.vstack([serve(examples=tf.constant([example]))["scores"] for example in transformed.unlabelled["paid"][:5]])
    labelled = serve(examples=tf.constant(transformed.examples))["scores"]
    np.testing.assert_allclose(alone, together[:5], atol=1e-6)
    np.testing.assert_array_equal(labelled, together)


def test_transform_features_gives_the_features_and_the_label(transformed, exported):
    served = exported["paid"][1].signatures["transform_features"](examples=tf.constant(transformed.examples))
    raw = tf.io.parse_example(tf.constant(transformed.examples), transformed.transform.raw_feature_spec())
    expected = transformed.transform.transform_features_layer()(raw)
    assert {"amount_xf", "amount_xf_missing", "payment_xf", "area_xf", "pair_xf", "paid_xf"} <= set(served)
    assert served["paid_xf"].numpy()[:4].tolist() == [[0], [1], [0], [1]]
    for name, value in served.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_keras_file_round_trip_keeps_predictions_and_forgets_the_optimizer(transformed, exported, tmp_path: Path):
    model, _ = exported["species"]
    path = str(tmp_path / "model.keras")
    serving.save_keras(model, path)
    loaded = serving.load_keras(path)
    for x, y in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(keras_outputs(transformed, loaded), keras_outputs(transformed, model), atol=1e-7)
    assert loaded.optimizer is None


def test_saving_again_replaces_the_keras_file(transformed, tmp_path: Path):
    path = str(tmp_path / "model.keras")
    models = [tabular.build(CONFIG, transformed.encoded, HEADS["paid"]) for _ in range(2)]
    for model in models:
        serving.save_keras(model, path)
    np.testing.assert_array_equal(serving.load_keras(path).get_weights()[0], models[1].get_weights()[0])


def test_model_compiled_with_the_multiclass_loss_can_be_loaded(transformed, tmp_path: Path):
    model = tabular.build(CONFIG, transformed.encoded, HEADS["species"])
    model.compile("adam", HEADS["species"].loss)
    serving.save_keras(model, str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(serving.load_keras(str(tmp_path / "model.keras")).get_weights()[0], model.get_weights()[0])


def test_missing_keras_file_is_an_error(tmp_path: Path):
    path = str(tmp_path / "nowhere.keras")
    with pytest.raises(ValueError) as caught:
        serving.load_keras(path)
    assert str(caught.value) == f"{path} does not exist. The Trainer leaves it beside the SavedModel; run the Trainer again."


def test_raw_features_file_says_what_a_row_has_to_hold_and_no_more_is_asked_for(transformed, exported, tmp_path: Path):
    model, _ = exported["species"]
    path = str(tmp_path / "model")
    serving.export(model, transformed.transform, COLUMNS, "species", ["a", "b", "c"], path)
    assert json.loads(Path(path, serving.RAW_FEATURES_FILE).read_text()) == {
        "schema_version": 1,
        "columns": {
            "amount": {"type": "number", "required": False},
            "area": {"type": "integer", "required": False},
            "payment": {"type": "text", "required": False},
        },
        "label": "species",
        "classes": ["a", "b", "c"],
    }
    # "paid" and "price" are required columns of the training data, but no feature reads them.
    empty = tf.train.Example().SerializeToString()
    served = tf.saved_model.load(path).signatures["serving_default"](examples=tf.constant([empty]))
    assert served["scores"].shape == (1, 3)


def test_raw_features_file_names_columns_that_a_row_cannot_do_without():
    spec = {"a": tf.io.FixedLenFeature([1], tf.string), "b": tf.io.FixedLenFeature([1], tf.float32, default_value=0.0)}
    assert serving.describe_rows(spec, ["b", "a"], "y", [])["columns"] == {
        "a": {"type": "text", "required": True},
        "b": {"type": "number", "required": False},
    }
