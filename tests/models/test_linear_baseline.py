"""The simple baseline: the solution of a convex problem, for every kind of label."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize
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


def long_tailed(kind: Kind) -> tuple[tuple[EncodedFeature, ...], Head, dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return features, head, inputs, labels and the dense matrix (4000, 60): ten numbers that are almost one, and rare ids.

    The label depends on how the numbers differ.
    """
    random = np.random.default_rng(0)
    differences = random.standard_t(3, size=(4000, 10))
    numbers = random.lognormal(0, 1.5, size=(4000, 1)) + 0.03 * differences
    numbers = ((numbers - numbers.mean(axis=0)) / numbers.std(axis=0)).astype(np.float32)
    ids = np.minimum(random.pareto(1.0, size=(4000, 1)), 49).astype(np.int32)
    signal = differences @ random.normal(size=(10, 1)) + 0.3 * (ids % 3) + random.logistic(size=(4000, 1))
    labels: dict[Kind, np.ndarray] = {
        "binary": (signal > 0.5).astype(np.int64),
        "multiclass": np.digitize(signal, [-1.0, 0.0, 1.5]).astype(np.int64),
        "regression": (3 * signal + 5).astype(np.float32),
    }
    heads: dict[Kind, Head] = {
        "binary": Head("binary", 2),
        "multiclass": Head("multiclass", 4),
        "regression": Head("regression", 0, float(labels["regression"].mean()), float(labels["regression"].std())),
    }
    features = (EncodedFeature("numbers_xf", "numbers", width=10), EncodedFeature("ids_xf", "ids", num_ids=50))
    dense = np.hstack([numbers.astype(np.float64), np.eye(50)[ids[:, 0]]])
    return features, heads[kind], {"numbers_xf": numbers, "ids_xf": ids}, labels[kind], dense


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


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_correlated_long_tailed_features_are_solved(kind: Kind, caplog: pytest.LogCaptureFixture):
    features, head, inputs, label, dense = long_tailed(kind)
    model = linear.fit(features, head, inputs, label)
    assert (model.converged, caplog.messages) == (True, [])
    assert 100 < model.num_iterations < 500
    if kind == "regression":
        exact = Ridge(alpha=1.0, solver="cholesky").fit(dense, (label[:, 0] - head.offset) / head.scale)
        expected = (head.offset + head.scale * exact.predict(dense))[:, np.newaxis]
    else:
        solver = "newton-cholesky" if kind == "binary" else "newton-cg"
        exact = LogisticRegression(tol=1e-10, max_iter=5000, solver=solver).fit(dense, label[:, 0])
        expected = exact.predict_proba(dense)[:, 1:] if kind == "binary" else exact.predict_proba(dense)
    # Of a probability or, for a number, of the label's deviation.
    np.testing.assert_allclose(model.predict(inputs), expected, rtol=0, atol=5e-3 * head.scale)


def test_what_is_not_solved_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(linear, "_MOST_ITERATIONS", 7)
    features, head, inputs, label, _ = long_tailed("binary")
    with caplog.at_level(logging.WARNING, "models.linear"):
        model = linear.fit(features, head, inputs, label)
    assert (model.converged, model.num_iterations) == (False, 7)
    (message,) = caplog.messages
    assert message.startswith("The simple baseline is not solved after 7 iterations (STOP: TOTAL NO. ")
    assert message.endswith(
        "), so that it is easier to beat than it should be. Look for extreme values in the numeric features."
    )


@pytest.mark.parametrize(("num_ids", "steps"), [(40, 10), (2000, 4), (20_000, 3)])
def test_fewer_steps_are_remembered_of_many_parameters(num_ids: int, steps: int, monkeypatch: pytest.MonkeyPatch):
    seen, minimize = {}, optimize.minimize

    def spy(*args, options: dict, **kwargs):
        seen.update(options)
        return minimize(*args, options=options, **kwargs)

    monkeypatch.setattr(optimize, "minimize", spy)
    monkeypatch.setattr(linear, "_MEMORY_BYTES", 2 * 8 * 4 * 3 * (2000 + 1))  # four steps of three times 2001 parameters
    model = linear.fit(
        [EncodedFeature("company_xf", "company", num_ids=num_ids)], HEADS["multiclass"], INPUTS, LABELS["multiclass"]
    )
    assert seen["maxcor"] == steps
    assert model.converged


@pytest.mark.parametrize(("num_scores", "iterations"), [(1, 1000), (4_000_000, 1000), (10_000_000, 400), (20_000_000, 200)])
def test_many_scores_get_fewer_iterations(num_scores: int, iterations: int):
    assert linear._options(10, num_scores)["maxiter"] == iterations


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
