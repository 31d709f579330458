"""The simple baseline: the solution of a convex problem, for every kind of label."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression, Ridge

from models import linear
from models.heads import Head, Kind
from preprocessing.features import EncodedFeature

NUMBER = EncodedFeature("fare_xf", "fare")
POINT = EncodedFeature("hour_xf", "hour", width=2)
COMPANY = EncodedFeature("company_xf", "company", num_ids=5)
BUCKET = EncodedFeature("fare_bucket_xf", "fare_bucket", num_ids=3, derived=True)
FEATURES = (NUMBER, POINT, COMPANY)
HEADS = {"binary": Head("binary", 2), "multiclass": Head("multiclass", 3), "regression": Head("regression", 0, 7.0, 2.5)}
RANDOM = np.random.default_rng(4)
INPUTS = {
    "fare_xf": RANDOM.normal(size=(400, 1)).astype(np.float32),
    "hour_xf": RANDOM.normal(size=(400, 2)).astype(np.float32),
    "company_xf": RANDOM.integers(0, 5, (400, 1)).astype(np.int32),
    "fare_bucket_xf": RANDOM.integers(0, 3, (400, 1)).astype(np.int32),
}
SIGNAL = INPUTS["fare_xf"] - 0.5 * INPUTS["hour_xf"][:, :1] + 0.4 * INPUTS["company_xf"] + RANDOM.normal(size=(400, 1))
LABELS = {
    "binary": (SIGNAL > 1).astype(np.int64),
    "multiclass": np.digitize(SIGNAL, [0.0, 1.5]).astype(np.int64),
    "regression": (7 + 2.5 * SIGNAL).astype(np.float32),
}
DENSE = np.hstack([INPUTS["fare_xf"], INPUTS["hour_xf"], np.eye(5)[INPUTS["company_xf"][:, 0]]])


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_probabilities_are_those_of_scikit_learn(kind: Kind):
    label = LABELS[kind]
    model = linear.fit(FEATURES, HEADS[kind], INPUTS, label)
    expected = LogisticRegression(tol=1e-8, max_iter=1000).fit(DENSE, label[:, 0]).predict_proba(DENSE)
    np.testing.assert_allclose(model.predict(INPUTS), expected[:, 1:] if kind == "binary" else expected, atol=2e-3)


def test_predicted_numbers_are_those_of_scikit_learn():
    label = LABELS["regression"]
    model = linear.fit(FEATURES, HEADS["regression"], INPUTS, label)
    # In units of the deviation, from the mean: there the penalty means the same for any unit.
    expected = 7 + 2.5 * Ridge(alpha=1.0).fit(DENSE, (label[:, 0] - 7) / 2.5).predict(DENSE)
    np.testing.assert_allclose(model.predict(INPUTS)[:, 0], expected, atol=0.01)


def test_unknown_class_adds_nothing():
    known, with_unknown = ({name: x[:n] for name, x in INPUTS.items()} for n in (300, 400))
    label = np.concatenate([LABELS["multiclass"][:300], np.full((100, 1), -1)])
    without = linear.fit(FEATURES, HEADS["multiclass"], known, label[:300])
    found = linear.fit(FEATURES, HEADS["multiclass"], with_unknown, label)
    np.testing.assert_allclose(found.predict(INPUTS), without.predict(INPUTS), atol=1e-3)


def test_every_fit_gives_the_same():
    first, again = (linear.fit(FEATURES, HEADS["binary"], INPUTS, LABELS["binary"]) for _ in range(2))
    np.testing.assert_array_equal(first.weights, again.weights)


def test_rows_in_chunks_give_what_they_give_at_once(monkeypatch: pytest.MonkeyPatch):
    whole = linear.fit(FEATURES, HEADS["multiclass"], INPUTS, LABELS["multiclass"]).predict(INPUTS)
    monkeypatch.setattr(linear, "_CHUNK_SCORES", 3 * 64)
    chunked = linear.fit(FEATURES, HEADS["multiclass"], INPUTS, LABELS["multiclass"]).predict(INPUTS)
    np.testing.assert_allclose(chunked, whole, atol=1e-3)


def test_derived_features_are_left_out_unless_there_is_nothing_else():
    label = LABELS["binary"]
    assert linear.fit([NUMBER, COMPANY, BUCKET], HEADS["binary"], INPUTS, label).features == (NUMBER, COMPANY)
    assert linear.fit([BUCKET], HEADS["binary"], INPUTS, label).features == (BUCKET,)


def test_there_is_one_weight_per_number_id_and_unit():
    model = linear.fit(FEATURES, HEADS["multiclass"], INPUTS, LABELS["multiclass"])
    assert (model.weights.shape, model.bias.shape) == ((1 + 2 + 5, 3), (3,))


def test_large_scores_do_not_overflow():
    model = linear.LinearModel((NUMBER,), HEADS["binary"], np.array([[1e4]], np.float32), np.zeros(1, np.float32))
    assert model.predict({"fare_xf": np.array([[-1.0], [1.0]], np.float32)}).tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize(("units", "most"), [(1, 200_000), (100, 200_000), (1000, 20_000)])
def test_many_classes_are_learned_from_fewer_examples(units: int, most: int):
    assert linear.most_examples(Head("multiclass", units)) == most


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_loss_without_a_penalty_is_that_of_the_head(kind: Kind):
    """The baseline minimizes what the network does: at the solution its mean loss is below that of the constant model."""
    head, label = HEADS[kind], LABELS[kind]
    model = linear.fit(FEATURES, head, INPUTS, label)
    constant = linear.LinearModel(model.features, head, np.zeros_like(model.weights), model.bias * 0)
    losses = [float(head.loss(tf.constant(label), tf.constant(m.predict(INPUTS)))) for m in (model, constant)]
    assert losses[0] < 0.75 * losses[1]


def test_no_features_are_an_error():
    with pytest.raises(ValueError) as caught:
        linear.fit([], HEADS["binary"], {}, LABELS["binary"])
    assert str(caught.value) == "A model needs at least one feature. Declare some under `features:` in the config file."
