"""Transformed TFRecords as tf.data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models import datasets, in_memory
from preprocessing.features import EncodedFeature

SPEC = datasets.ExampleSpec(
    (EncodedFeature("point_xf", "point", width=2), EncodedFeature("position_xf", "position", num_ids=100)), "label_xf", tf.int64
)
NUM_EXAMPLES = 53
# Prints for both ways of reading the positions of [epoch][step][replica], of the dataset that `training.fit` goes through.
MIRRORED = """
import json
import sys
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from models import datasets, distribution, training
from preprocessing.features import EncodedFeature

SPEC = datasets.ExampleSpec((EncodedFeature("position_xf", "position", num_ids=100),), "label_xf", tf.int64)
strategy, _ = distribution.choose("mirrored")


def steps(memory_bytes):
    examples = datasets.load(sys.argv[1:], SPEC, memory_bytes).dataset(8, shuffle_seed=1)
    endless, num_steps = training._endless(examples)
    iterator = iter(strategy.experimental_distribute_dataset(endless))
    for _ in range(2):
        batches = [strategy.experimental_local_results(next(iterator)[0]["position_xf"]) for _ in range(num_steps)]
        yield [[replica.numpy()[:, 0].tolist() for replica in batch] for batch in batches]


print(json.dumps({"in_memory": list(steps(datasets.MEMORY_BYTES)), "streamed": list(steps(0))}))
"""


def _example(position: int) -> bytes:
    features = {
        "point_xf": tf.train.Feature(float_list=tf.train.FloatList(value=[position, -position])),
        "position_xf": tf.train.Feature(int64_list=tf.train.Int64List(value=[position])),
        "label_xf": tf.train.Feature(int64_list=tf.train.Int64List(value=[position % 2])),
        "unused_xf": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module", params=["GZIP", ""])
def files(request, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Write 53 examples into three files, gzipped or not."""
    folder: Path = tmp_path_factory.mktemp("records")
    paths = [str(folder / f"part-{i}{'.gz' if request.param else ''}") for i in range(3)]
    for i, path in enumerate(paths):
        with tf.io.TFRecordWriter(path, request.param or None) as writer:
            for position in range(i, NUM_EXAMPLES, 3):
                writer.write(_example(position))
    return paths


@pytest.fixture(params=["in_memory", "streamed"])
def read(request):
    """As datasets.read, once where everything fits into memory and once where nothing does."""
    memory_bytes = datasets.MEMORY_BYTES if request.param == "in_memory" else 0

    def read(files, spec, batch_size, shuffle_seed=None):
        return datasets.load(files, spec, memory_bytes).dataset(batch_size, shuffle_seed)

    return read


def positions(dataset: tf.data.Dataset) -> list[int]:
    """Go through one epoch."""
    return [int(x) for features, _ in dataset for x in features["position_xf"][:, 0]]


def test_every_example_comes_once_an_epoch_in_the_order_of_the_files(files, read):
    dataset = read(files, SPEC, batch_size=8)
    first = positions(dataset)
    assert sorted(first) == list(range(NUM_EXAMPLES))
    assert positions(dataset) == first
    assert positions(read(files[::-1], SPEC, batch_size=8)) == first


def test_shuffled_epochs_hold_every_example_once_in_a_new_order(files, read):
    dataset = read(files, SPEC, batch_size=8, shuffle_seed=1)
    epochs = [positions(dataset) for _ in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(NUM_EXAMPLES))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_seed_fixes_the_order_of_every_epoch(files, read):
    def two_epochs(seed: int) -> list[list[int]]:
        dataset = read(files, SPEC, batch_size=8, shuffle_seed=seed)
        return [positions(dataset), positions(dataset)]

    assert two_epochs(1) == two_epochs(1)
    assert two_epochs(1) != two_epochs(2)


def test_last_batch_is_kept(files, read):
    sizes = [len(label) for _, label in read(files, SPEC, batch_size=8)]
    assert sizes == [8] * 6 + [5]


def test_batches_hold_int32_ids_float32_numbers_and_the_label(files, read):
    features, label = next(iter(read(files, SPEC, batch_size=8)))
    assert sorted(features) == ["point_xf", "position_xf"]
    assert (features["position_xf"].dtype, features["position_xf"].shape) == (tf.int32, (8, 1))
    assert (features["point_xf"].dtype, features["point_xf"].shape) == (tf.float32, (8, 2))
    assert (label.dtype, label.shape) == (tf.int64, (8, 1))
    position = features["position_xf"].numpy().astype(np.float32)
    np.testing.assert_array_equal(features["point_xf"], np.hstack([position, -position]))
    np.testing.assert_array_equal(label, position % 2)


def test_no_files_are_an_error():
    with pytest.raises(ValueError) as caught:
        datasets.read([], SPEC, batch_size=8)
    assert str(caught.value) == "No transformed examples to read: the list of files is empty."


@pytest.mark.parametrize(("wanted", "taken"), [(10, 10), (1000, NUM_EXAMPLES)])
def test_take_gives_at_most_the_wanted_number_of_examples(files, read, wanted: int, taken: int):
    features, label = datasets.take(read(files, SPEC, batch_size=8, shuffle_seed=3), wanted)
    assert features["point_xf"].shape == (taken, 2)
    assert label.shape == (taken, 1)
    assert len(set(features["position_xf"][:, 0])) == taken


def test_files_of_two_compressions_are_an_error():
    with pytest.raises(ValueError) as caught:
        datasets.read(["b.gz", "a"], SPEC, batch_size=8)
    assert str(caught.value) == ("Some files end in .gz and some do not: ['a', 'b.gz']. Give files of one compression.")


def test_what_does_not_fit_into_memory_is_streamed_in_the_same_order(files):
    bytes_of_all = NUM_EXAMPLES * (3 * 4 + 8)
    kept, streamed = (datasets.load(files, SPEC, bytes_of_all - missing) for missing in (0, 1))
    assert isinstance(kept, in_memory.Split)
    assert not isinstance(streamed, in_memory.Split)
    assert positions(kept.dataset(8)) == positions(streamed.dataset(8))
    for examples in (kept, streamed):
        assert examples.num_examples == NUM_EXAMPLES
        assert int(examples.dataset(8, shuffle_seed=1).cardinality()) == 7


def test_datasets_of_a_split_share_its_memory(files, monkeypatch: pytest.MonkeyPatch):
    split, copied, constant = datasets.load(files, SPEC), [], tf.constant

    def spy(value, *args, **kwargs):
        copied.append(np.shape(value))
        return constant(value, *args, **kwargs)

    monkeypatch.setattr(in_memory.tf, "constant", spy)
    kept, shuffled, again = split.dataset(8), split.dataset(8, shuffle_seed=1), split.dataset(16)
    assert [shape for shape in copied if shape[:1] == (NUM_EXAMPLES,)] == []
    assert positions(kept) == positions(again) == sorted(positions(shuffled), key=positions(kept).index)
    split.labels[:] = 7
    assert all((label == 7).all() for dataset in (kept, shuffled, again) for _, label in dataset.as_numpy_iterator())


def test_arrays_at_any_place_in_memory_are_taken():
    pages = np.arange(65, dtype=np.float32)
    start = next(i for i in range(16) if pages[i:].ctypes.data % 64 == 16)
    values, labels = pages[start : start + 40].reshape(20, 2), np.zeros((20, 1), np.int64)
    split = in_memory.Split((in_memory.Block(("x",), (2,), values),), labels)
    features, _ = next(iter(split.dataset(20)))
    np.testing.assert_array_equal(features["x"], values)


def test_examples_with_ids_only_are_read(files, read):
    spec = datasets.ExampleSpec(SPEC.features[1:], "label_xf", tf.int64)
    features, _ = next(iter(read(files, spec, 8)))
    assert list(features) == ["position_xf"]


def test_mirrored_replicas_share_every_batch(files):
    """Read in a process of its own: logical devices are fixed when TensorFlow starts."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", MIRRORED, *files]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result) == ["in_memory", "streamed"]
    for epochs in result.values():
        for epoch in epochs:
            assert [[len(replica) for replica in step] for step in epoch] == [[4, 4]] * 6 + [[3, 2]]
            assert sorted(x for step in epoch for replica in step for x in replica) == list(range(NUM_EXAMPLES))
        assert epochs[0] != epochs[1]
