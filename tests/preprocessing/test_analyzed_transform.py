"""What Transform learns from data and writes: shapes, ranges of ids, vocabularies, labels."""

from __future__ import annotations

import numpy as np
import pytest

from preprocessing.description import vocabularies
from preprocessing.features import BinaryLabel, encoded_features, transformed_name
from preprocessing.labels import class_names


@pytest.fixture(scope="module")
def outputs(analyzed) -> dict[str, np.ndarray]:
    return analyzed.apply(analyzed.rows)


def test_encoded_features_list_exactly_what_the_graph_writes(analyzed, outputs):
    listed = encoded_features(analyzed.features, analyzed.transform.vocabulary_size_by_name)
    labels = {transformed_name(name) for name in analyzed.labels}
    assert {feature.name for feature in listed} | labels == set(outputs)
    for feature in listed:
        assert outputs[feature.name].shape == (240, feature.width), feature.name
        assert outputs[feature.name].dtype == (np.int64 if feature.num_ids else np.float32), feature.name


def test_every_id_is_below_the_number_of_ids(analyzed, outputs):
    listed = encoded_features(analyzed.features, analyzed.transform.vocabulary_size_by_name)
    for feature in (f for f in listed if f.num_ids):
        assert outputs[feature.name].min() >= 0, feature.name
        assert outputs[feature.name].max() < feature.num_ids, feature.name


def test_number_of_ids_is_reached_by_unseen_values(analyzed):
    unseen = [{"latitude": 41.9, "company": "Nobody", "area": 99, "fare": 1e9} | {"payment": f"new {i}"} for i in range(50)]
    outputs = analyzed.apply(unseen)
    num_ids = {f.name: f.num_ids for f in encoded_features(analyzed.features, analyzed.transform.vocabulary_size_by_name)}
    for name in ("company_xf", "area_xf", "fare_bucket_xf", "payment_xf"):
        assert outputs[name].max() == num_ids[name] - 1, name
    assert set(outputs["payment_xf"][:, 0]) == {3, 4, 5, 6, 7}  # five out-of-vocabulary buckets after two values


def test_missing_values_take_id_zero_and_the_missing_flag(analyzed, outputs):
    for name in ("fare", "seconds", "company", "area"):
        absent = np.array([[name not in row] for row in analyzed.rows])
        assert 10 < absent.sum() < 60
        if name in ("fare", "seconds"):
            np.testing.assert_array_equal(outputs[f"{name}_xf_missing"], absent.astype(np.float32))
            assert not outputs[f"{name}_xf"][absent].any()
            np.testing.assert_array_equal(outputs[f"{name}_bucket_xf"] == 0, absent)
        else:
            np.testing.assert_array_equal(outputs[f"{name}_xf"] == 0, absent)


def test_z_scores_of_present_values_have_mean_zero_and_deviation_one(outputs):
    for name in ("fare_xf", "latitude_xf", "seconds_xf", "seconds_log_xf"):
        present = outputs[name][outputs[f"{name}_missing"] == 0].astype(np.float64)
        assert present.mean() == pytest.approx(0.0, abs=1e-3), name
        assert present.std() == pytest.approx(1.0, abs=1e-3), name


def test_constant_column_is_zero_wherever_present(outputs):
    np.testing.assert_array_equal(outputs["constant_xf"], np.zeros((240, 1), np.float32))


def test_column_without_any_value_gives_finite_inputs(analyzed):
    outputs = analyzed.apply([{"latitude": 41.9}, {"latitude": 41.9, "never": 5.0, "never_said": "hello"}])
    np.testing.assert_array_equal(outputs["never_xf"], [[0.0], [5.0]])
    assert outputs["never_bucket_xf"][0] == [0]
    assert 1 <= outputs["never_bucket_xf"][1, 0] <= 3
    assert outputs["never_said_xf"][0] == [0]
    assert outputs["never_said_xf"][1] == [analyzed.transform.vocabulary_size_by_name("never_said") + 1]


def test_vocabularies_hold_values_by_falling_frequency(analyzed):
    learned = vocabularies(analyzed.features, analyzed.transform)
    learned.pop("never_said")  # TFT's placeholder for an empty vocabulary
    assert learned == {
        "company": ["Zürich Taxi", "Blue & Co", "Flash"],  # "Rare" is seen twice, not three times
        "payment": ["Cash", "Card"],  # a value with a line break has no line of its own
        "code": ["77", "777"],  # the two most frequent of four
        "zone": ["3", "10", "-2"],  # whole floats read as integers
    }


def test_vocabulary_file_holds_one_value_a_line(analyzed):
    with open(analyzed.transform.vocabulary_file_by_name("company"), encoding="utf-8") as file:
        assert file.read() == "Zürich Taxi\nBlue & Co\nFlash\n"


def test_values_below_min_count_are_out_of_vocabulary(analyzed, outputs):
    rare = [i for i, row in enumerate(analyzed.rows) if row.get("company") == "Rare"]
    assert len(rare) == 2
    assert outputs["company_xf"][rare].tolist() == [[4], [4]]


@pytest.mark.parametrize(("name", "positive"), [("paid", 1), ("answer", "yes"), ("won", 1.0)])
def test_binary_label_is_one_for_the_positive_value(analyzed, outputs, name, positive):
    label = outputs[f"{name}_xf"]
    assert label.dtype == np.int64
    np.testing.assert_array_equal(label, [[int(row[name] == positive)] for row in analyzed.rows])
    assert 0 < label.sum() < 240


def test_multiclass_label_is_the_position_among_classes_by_frequency(analyzed, outputs):
    for name, classes in (("species", ["setosa", "virginica", "versicolor"]), ("grade", [5, 1])):
        np.testing.assert_array_equal(outputs[f"{name}_xf"], [[classes.index(row[name])] for row in analyzed.rows])
        assert class_names(analyzed.labels[name], analyzed.transform) == [str(x) for x in classes]


def test_unknown_class_is_minus_one(analyzed):
    outputs = analyzed.apply([{"latitude": 41.9, "species": "orchid", "grade": 3}])
    assert outputs["species_xf"].tolist() == [[-1]]
    assert outputs["grade_xf"].tolist() == [[-1]]


@pytest.mark.parametrize("name", ["price", "visits"])
def test_regression_label_is_the_number_itself(analyzed, outputs, name):
    assert outputs[f"{name}_xf"].dtype == np.float32
    np.testing.assert_array_equal(outputs[f"{name}_xf"][:, 0], [row[name] for row in analyzed.rows])


def test_classes_of_binary_and_regression_labels(analyzed):
    names = {name: class_names(label, analyzed.transform) for name, label in analyzed.labels.items()}
    assert names["paid"] == ["0", "1"]
    assert names["answer"] == ["not yes", "yes"]
    assert names["price"] == []
    zero = analyzed.labels["paid"].model_copy(update={"positive": 0})
    assert class_names(zero, analyzed.transform) == ["1", "0"]


def test_negative_class_is_named_as_declared(analyzed):
    label = BinaryLabel(kind="binary", column="churned", positive="yes", negative="no")
    assert class_names(label, analyzed.transform) == ["no", "yes"]
