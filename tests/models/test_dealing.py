"""Every example once an epoch over all workers together, and the same number of steps for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models import datasets, dealing, in_memory
from models.dealing import Share
from preprocessing.features import EncodedFeature

SPEC = datasets.ExampleSpec((EncodedFeature("position_xf", "position", num_ids=1000),), "label_xf", tf.int64)


def split(number: int) -> in_memory.Split:
    """Return examples that are known by their position."""
    positions = np.arange(number, dtype=np.int32)[:, np.newaxis]
    return in_memory.Split((in_memory.Block(("position_xf",), (1,), positions),), positions.astype(np.int64))


def write(folder: Path, sizes: Sequence[int]) -> list[str]:
    """Write as many examples into each file; return the files."""
    paths, position = [], 0
    for number, size in enumerate(sizes):
        paths.append(str(folder / f"part-{number:02}.gz"))
        with tf.io.TFRecordWriter(paths[-1], "GZIP") as writer:
            for _ in range(size):
                value = tf.train.Feature(int64_list=tf.train.Int64List(value=[position]))
                features = tf.train.Features(feature={"position_xf": value, "label_xf": value})
                writer.write(tf.train.Example(features=features).SerializeToString())
                position += 1
    return paths


def dealt(examples: datasets.Examples, batch_size: int, workers: int, replicas: int, epochs: int = 2, **share) -> np.ndarray:
    """Return what each replica gets: [worker][epoch][step][replica] -> (positions, weights)."""
    result = []
    for worker in range(workers):
        tf.keras.utils.set_random_seed(7)  # as every worker does
        one = Share(worker, workers, workers * replicas, **share)
        parts = examples.dataset(batch_size, 3, one)
        number = int(parts.cardinality())
        elements = [(x["position_xf"][:, 0], w) for x, _, w in parts.repeat().take(number * epochs).as_numpy_iterator()]
        assert len(elements) == number * epochs
        steps = number // one.replicas
        cells = np.empty(len(elements), object)
        cells[:] = elements
        result.append(cells.reshape(epochs, steps, one.replicas))
    assert len({cells.shape for cells in result}) == 1, "workers have different numbers of steps"
    return np.stack(result)


def positions(cells: np.ndarray) -> list[int]:
    """Return all that replicas got."""
    return sorted(int(position) for part, _ in cells.ravel() for position in part)


CLUSTERS = [(1, 2), (2, 1), (2, 3), (3, 2)]


@pytest.mark.parametrize(("workers", "replicas"), CLUSTERS)
@pytest.mark.parametrize("number", [48, 53, 49, 5])
@pytest.mark.parametrize("kind", ["in_memory", "one_file", "even_files", "uneven_files"])
def test_every_example_comes_once_an_epoch_in_as_many_steps_for_all(
    kind: str, number: int, workers: int, replicas: int, tmp_path: Path
):
    batch_size = 4 * workers * replicas
    if kind == "in_memory":
        examples: datasets.Examples = split(number)
    else:
        sizes = {
            "one_file": [number],
            "even_files": [number // 6 + (n < number % 6) for n in range(6)],
            "uneven_files": [number - 4, 1, 1, 1, 1],
        }[kind]
        examples = datasets.load(write(tmp_path, sizes), SPEC, memory_bytes=0)
    cells = dealt(examples, batch_size, workers, replicas)
    for epoch in range(2):
        assert positions(cells[:, epoch]) == list(range(number))
    if number > 20:
        first, second = ([part.tolist() for part, _ in cells[:, epoch].ravel()] for epoch in range(2))
        assert first != second  # shuffled anew
    steps = cells.shape[2]
    assert -(-number // batch_size) <= steps <= -(-number // batch_size) + 1


@pytest.mark.parametrize(("workers", "replicas"), CLUSTERS)
def test_weights_make_the_mean_over_replicas_that_over_examples(workers: int, replicas: int, tmp_path: Path):
    files = datasets.load(write(tmp_path, [18, 18, 17]), SPEC, memory_bytes=0)
    for examples in (split(53), files):
        cells = dealt(examples, 4 * workers * replicas, workers, replicas)
        for step in range(cells.shape[2]):
            parts = list(cells[:, 0, step].ravel())
            seen = np.concatenate([part for part, _ in parts])
            means = [float((part * weights).sum() / max(len(part), 1)) for part, weights in parts]
            assert np.mean(means) == pytest.approx(seen.mean(), rel=1e-5)


def test_workers_read_files_of_their_own_where_that_is_even(tmp_path: Path):
    examples = datasets.load(write(tmp_path, [10, 10, 10, 10]), SPEC, memory_bytes=0)
    assert examples.sharding(2) == "by file, 4 files"
    cells = dealt(examples, 8, 2, 1, epochs=1)
    assert positions(cells[0]) == [*range(10), *range(20, 30)]
    assert examples.sharding(3) == "by record, for 4 file(s) cannot be dealt out evenly"
    assert examples.sharding(8) == "by record, for 4 file(s) cannot be dealt out evenly"
    assert examples.sharding(1) == "by record"
    assert split(3).sharding(2) == "by position, in memory"


def test_only_whole_batches_of_one_shape_for_a_tpu():
    examples = split(53)
    parts = examples.dataset(8, 3, Share(0, 1, 4, whole_batches=True))
    assert parts.element_spec[1].shape == (2, 1)
    cells = dealt(examples, 8, 1, 4, whole_batches=True)
    assert cells.shape == (1, 2, 6, 4)
    assert len(positions(cells[:, 0])) == len(set(positions(cells[:, 0]))) == 48
    assert all((weights == 1.0).all() for _, weights in cells.ravel())


def test_training_set_smaller_than_a_batch_of_a_tpu_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dealing, "share_of", lambda strategy, worker: Share(worker, 1, 8, whole_batches=True))
    with pytest.raises(
        ValueError, match=r"^No batch is left for an epoch: .* all 8 replicas .* Use a smaller `fit.batch_size`"
    ):
        dealing.Dealt(tf.distribute.get_strategy(), lambda share: split(53).dataset(64, 3, share))


def test_a_share_goes_on_where_a_checkpoint_was():
    examples = split(53)
    share = Share(1, 2, 4)

    def steps(skipped: int) -> list[list[int]]:
        tf.keras.utils.set_random_seed(7)
        parts = examples.dataset(8, 3, share).repeat().skip(skipped * share.replicas).take(12)
        return [x["position_xf"][:, 0].tolist() for x, *_ in parts.as_numpy_iterator()]

    assert steps(9) == steps(4)[10:] + steps(9)[2:]


def test_evaluation_on_a_tpu_takes_whole_batches_of_what_there_is():
    made = dealing.deal(split(53).dataset(32), tf.distribute.get_strategy(), weighted=False)._make
    parts = list(made(Share(0, 1, 4, whole_batches=True)).as_numpy_iterator())
    assert [len(label) for _, label in parts] == [8] * 4
    assert [int(position) for _, label in parts for position in label[:, 0]] == list(range(32))
