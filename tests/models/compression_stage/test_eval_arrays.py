"""The eval split as arrays on disk: what was written batch by batch is read back whole, in this process or another."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from models.compression.data import ArraySet, EvaluationBatch, write_arrays


def batch(start: int, stop: int, slices: tuple = ()) -> EvaluationBatch:
    n = np.arange(start, stop)
    features = {
        "fare_xf": (n[:, np.newaxis] / 2).astype(np.float32),
        "hour_xf": np.stack([n, -n], axis=1).astype(np.float32),
        "company_xf": n[:, np.newaxis].astype(np.int32),
    }
    return EvaluationBatch(features, (n % 2)[:, np.newaxis], slices)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "arrays")


@pytest.fixture
def arrays(folder: str) -> ArraySet:
    """Seven rows in batches of three, three and one."""
    return write_arrays(folder, [batch(0, 3), batch(3, 6), batch(6, 7)])


def test_batches_become_one_array_per_feature(arrays: ArraySet):
    features = arrays.features
    assert list(features) == ["fare_xf", "hour_xf", "company_xf"]
    assert {name: (x.shape, x.dtype.name) for name, x in features.items()} == {
        "fare_xf": ((7, 1), "float32"),
        "hour_xf": ((7, 2), "float32"),
        "company_xf": ((7, 1), "int32"),
    }
    assert features["fare_xf"][:, 0].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert features["hour_xf"].tolist() == [[i, -i] for i in range(7)]
    assert features["company_xf"][:, 0].tolist() == list(range(7))


def test_labels_become_one_dimension(arrays: ArraySet):
    assert (arrays.labels.tolist(), arrays.labels.dtype) == ([0, 1, 0, 1, 0, 1, 0], np.int64)


def test_labels_that_are_numbers_stay_numbers(folder: str):
    batches = [EvaluationBatch(batch(0, 2).features, np.array(labels, np.float32)) for labels in ([0.5, 1.5], [-2.0, 1e9])]
    written = write_arrays(folder, batches)
    assert (written.labels.tolist(), written.labels.dtype) == ([0.5, 1.5, -2.0, 1e9], np.float32)


def test_features_that_come_in_another_order_are_put_together_by_name(folder: str):
    turned = batch(3, 5)
    turned = EvaluationBatch(dict(reversed(turned.features.items())), turned.labels)
    features = write_arrays(folder, [batch(0, 3), turned]).features
    assert features["company_xf"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert features["hour_xf"].tolist() == [[i, -i] for i in range(5)]


def test_slices_keep_their_names_through_batches(folder: str):
    written = write_arrays(
        folder,
        [
            batch(0, 3, (["hour:17", "hour:3", "hour:17"], ["", "far:yes", ""])),
            batch(3, 5, (["hour:3", "hour:9"], ["", ""])),
            batch(5, 6, ([""], ["far:yes"])),
        ],
    )
    (hours, positions), (distances, far) = written.slices
    assert (hours, positions.tolist()) == (["hour:17", "hour:3", "hour:9"], [0, 1, 0, 1, 2, -1])
    assert (distances, far.tolist()) == (["far:yes"], [-1, 0, -1, -1, -1, 0])


def test_slicing_that_no_row_is_in_has_no_slices(folder: str):
    ((names, positions),) = write_arrays(folder, [batch(0, 2, (["", ""],))]).slices
    assert (names, positions.tolist()) == ([], [-1, -1])


def test_without_slicings_there_are_no_slices(arrays: ArraySet):
    assert arrays.slices == []


def test_array_set_travels_as_a_path(arrays: ArraySet, folder: str):
    content = pickle.dumps(arrays)
    assert pickle.loads(content) == ArraySet(folder)
    assert pickle.loads(content).features["hour_xf"].tolist() == arrays.features["hour_xf"].tolist()
    assert len(content) < 200 + len(folder)


def test_arrays_are_mapped_and_cannot_be_changed(arrays: ArraySet):
    x = arrays.features["fare_xf"]
    assert isinstance(x, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1


def test_dataset_gives_what_a_model_trains_on(arrays: ArraySet):
    first, last = list(arrays.dataset(4).as_numpy_iterator())
    assert {name: x.shape for name, x in first[0].items()} == {"fare_xf": (4, 1), "hour_xf": (4, 2), "company_xf": (4, 1)}
    assert (first[1].tolist(), last[1].tolist()) == ([[0], [1], [0], [1]], [[0], [1], [0]])
    assert last[0]["company_xf"].tolist() == [[4], [5], [6]]


def test_dataset_is_shuffled_by_its_seed_and_anew_every_epoch(folder: str):
    arrays = write_arrays(folder, [batch(0, 200)])

    def order(dataset) -> list[int]:
        return np.concatenate([x["company_xf"][:, 0] for x, _ in dataset.as_numpy_iterator()]).tolist()

    dataset = arrays.dataset(64, shuffle_seed=1)
    first, second = order(dataset), order(dataset)
    assert sorted(first) == sorted(second) == list(range(200))
    assert first != second
    assert first != list(range(200))
    assert order(arrays.dataset(64, shuffle_seed=1)) == first
    assert order(arrays.dataset(64, shuffle_seed=2)) != first


@pytest.mark.parametrize("batches", [[], [batch(0, 0)]])
def test_eval_split_without_rows_is_an_error(folder: str, batches: list):
    with pytest.raises(ValueError) as caught:
        write_arrays(folder, batches)
    assert str(caught.value) == "The eval split has no rows, so no variant can be judged. Give it a share in `data.split`."


def test_folder_that_is_there_already_is_not_added_to(arrays: ArraySet, folder: str):
    with pytest.raises(FileExistsError):
        write_arrays(folder, [batch(0, 3)])
    assert len(arrays.labels) == 7
    assert "index.json" in os.listdir(folder)
