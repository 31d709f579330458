"""A model begins where another one ended, whatever ids, classes and scales have become of the data since."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tf_keras as keras

from models import tabular
from models.heads import LOGITS, Head
from models.warm_start import Meaning, mismatch, rows_of, transfer
from preprocessing.features import EncodedFeature

CONFIG = tabular.Config(embedding_dim=2, numeric_units=4, hidden=(6, 5), dropout=0.1)
FARE = EncodedFeature("fare_xf", "fare")
BINARY = Head("binary", 2)
FARES = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]


def model(
    vocabulary: Sequence[str], head: Head = BINARY, config: tabular.Config = CONFIG, outside: int = 1, cross: bool = False
):
    """Return a network with weights of its own, for a vocabulary of 10 values: those named, and others."""
    features = [FARE, EncodedFeature("company_xf", "company", num_ids=1 + len(vocabulary) + outside)]
    features += [EncodedFeature("pair_xf", "pair", num_ids=16)] if cross else []
    made = tabular.build(config, features, head)
    random = np.random.default_rng(len(vocabulary) + 100 * head.units)
    made.set_weights([random.normal(size=weight.shape) for weight in made.get_weights()])
    return made


def meaning(vocabulary: Sequence[str], classes: Sequence[str] = ("0", "1")) -> Meaning:
    return Meaning({"company_xf": vocabulary}, {"pair_xf": ["company_xf"]}, classes)


def scores(of: keras.Model, vocabulary: Sequence[str], value: str) -> np.ndarray:
    """Return what a model says of a raw value, looked up in its vocabulary."""
    number = 1 + (vocabulary.index(value) if value in vocabulary else len(vocabulary))
    ids = np.full((len(FARES), 1), number, np.int32)
    return of.predict_on_batch({"fare_xf": FARES, "company_xf": ids, "pair_xf": ids * 0})


def test_model_says_the_same_of_every_value_after_its_vocabulary_has_changed() -> None:
    old, new = ["blue", "red", "green"], ["green", "violet", "blue", "red"]
    origin, made = model(old), model(new)
    taken = transfer(made, meaning(new), origin, meaning(old))
    for value in (*new, "never seen"):
        assert scores(made, new, value) == pytest.approx(scores(origin, old, value), abs=1e-6), value
    assert taken.partly == {}
    assert taken.anew == ()
    assert set(taken.whole) == {layer.name for layer in made.layers if layer.weights}


def test_value_of_which_nobody_knows_what_it_was_begins_anew() -> None:
    old, new = ["blue", "red"], ["red", "violet"]
    origin, made = model(old, outside=3), model(new, outside=2)
    before = made.get_layer("company_xf_embedding").get_weights()[0]
    taken = transfer(made, meaning(new), origin, meaning(old))
    after, earlier = (each.get_layer("company_xf_embedding").get_weights()[0] for each in (made, origin))
    assert taken.partly == {"company_xf_embedding": 3}
    assert np.array_equal(after[[0, 1]], earlier[[0, 2]])
    assert np.array_equal(after[2:], before[2:])


def test_classes_go_by_their_names() -> None:
    old, new = ("cat", "dog", "fox"), ("fox", "owl", "cat")
    origin, made = (model(["a"], Head("multiclass", 3)) for _ in range(2))
    made.set_weights([weight + 1 for weight in made.get_weights()])
    fresh = made.get_layer(LOGITS).get_weights()
    taken = transfer(made, meaning(["a"], new), origin, meaning(["a"], old))
    assert taken.partly == {LOGITS: 1}
    for after, before, earlier in zip(
        made.get_layer(LOGITS).get_weights(), fresh, origin.get_layer(LOGITS).get_weights(), strict=True
    ):
        assert np.array_equal(after[..., 0], earlier[..., 2])
        assert np.array_equal(after[..., 1], before[..., 1])
        assert np.array_equal(after[..., 2], earlier[..., 0])


def test_two_classes_that_are_others_begin_anew() -> None:
    origin, made = model(["a"]), model(["a"])
    assert transfer(made, meaning(["a"], ("no", "yes")), origin, meaning(["a"], ("yes", "no"))).anew == (LOGITS,)


def test_number_stays_the_same_in_another_scale() -> None:
    origin, made = model(["a"], Head("regression", 0, 10.0, 2.0)), model(["a"], Head("regression", 0, 14.0, 3.0))
    taken = transfer(made, meaning(["a"], ()), origin, meaning(["a"], ()))
    assert taken.anew == ()
    assert scores(made, ["a"], "a") == pytest.approx(scores(origin, ["a"], "a"), rel=1e-4)


@pytest.mark.parametrize(("vocabulary", "anew"), [(["a", "b"], ()), (["b", "a"], ("pair_xf_embedding",))])
def test_cross_of_other_ids_begins_anew(vocabulary: list[str], anew: tuple[str, ...]) -> None:
    origin, made = (model(["a", "b"], cross=True) for _ in range(2))
    assert transfer(made, meaning(vocabulary), origin, meaning(["a", "b"])).anew == anew


def test_layers_of_another_width_begin_anew() -> None:
    wider = CONFIG.model_copy(update={"hidden": (6, 7)})
    made = model(["a"], config=wider)
    kept = made.get_layer("hidden_1").get_weights()
    taken = transfer(made, meaning(["a"]), model(["a"]), meaning(["a"]))
    assert taken.anew == ("hidden_1", LOGITS)
    assert all(map(np.array_equal, kept, made.get_layer("hidden_1").get_weights()))


def test_other_features_and_other_networks_are_no_beginning() -> None:
    plain = model(["a"])
    assert mismatch(plain, model(["a", "b"])) == ""
    assert mismatch(plain, model(["a"], cross=True)) == "it reads other features (pair_xf)"
    deeper = CONFIG.model_copy(update={"hidden": (6, 5, 4)})
    assert mismatch(plain, model(["a"], config=deeper)).startswith("it has the layers ")


def test_ids_are_the_missing_one_the_vocabulary_and_those_outside_of_it() -> None:
    assert rows_of(5, ["a", "b", "c"], 4, ["c", "a"]) == (0, 2, 3, 1, 3)
