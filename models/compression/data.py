"""The data of a compression: where training examples come from, and the eval split as arrays on disk.

Everything here travels to other processes by pickle: it holds paths, not data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from models import datasets


class TrainingData(Protocol):
    """Examples to train on."""

    def dataset(self, batch_size: int, shuffle_seed: int | None) -> tf.data.Dataset:
        """Return batches of ({name: (batch, width)}, label (batch, 1))."""
        ...


@dataclass(frozen=True)
class RecordFiles:
    """Transformed examples in TFRecord files."""

    files: tuple[str, ...]
    spec: datasets.ExampleSpec

    def dataset(self, batch_size: int, shuffle_seed: int | None) -> tf.data.Dataset:
        """Return batches of ({name: (batch, width)}, label (batch, 1))."""
        return datasets.read(self.files, self.spec, batch_size, shuffle_seed)


@dataclass(frozen=True)
class EvaluationBatch:
    """Rows of the eval split.

    Attributes:
      features: {transformed name: (batch, width)}.
      labels: (batch,) or (batch, 1).
      slices: for each slicing the slice of each row, such as "hour:17"; "" where the row is in none.
    """

    features: Mapping[str, np.ndarray]
    labels: np.ndarray
    slices: Sequence[Sequence[str]] = ()


_INDEX, _LABELS = "index.json", "labels.bin"


@dataclass(frozen=True)
class ArraySet:
    """Rows as arrays in a folder, read by memory mapping."""

    folder: str

    @property
    def features(self) -> dict[str, np.ndarray]:
        """{transformed name: (n, width)}."""
        index = self._index()
        return {
            name: self._map(f"feature-{position}.bin", dtype, (index["num_rows"], *shape))
            for position, (name, dtype, shape) in enumerate(index["features"])
        }

    @property
    def labels(self) -> np.ndarray:
        """(n,)."""
        index = self._index()
        return self._map(_LABELS, index["label_dtype"], (index["num_rows"],))

    @property
    def slices(self) -> list[tuple[list[str], np.ndarray]]:
        """For each slicing: the names of its slices, and the position (n,) of each row's slice among them; -1 for none."""
        index = self._index()
        rows = (index["num_rows"],)
        return [(names, self._map(f"slice-{i}.bin", "int32", rows)) for i, names in enumerate(index["slices"])]

    def dataset(self, batch_size: int, shuffle_seed: int | None = None) -> tf.data.Dataset:
        """Return batches of ({name: (batch, width)}, label (batch, 1))."""
        features, labels = self.features, self.labels[:, np.newaxis]
        if shuffle_seed is not None:
            rows = tf.data.Dataset.from_tensor_slices((features, np.asarray(labels)))
            rows = rows.shuffle(100_000, seed=shuffle_seed, reshuffle_each_iteration=True)
            return rows.batch(batch_size).prefetch(tf.data.AUTOTUNE)

        def batches() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
            for start in range(0, len(labels), batch_size):
                part = slice(start, start + batch_size)
                yield {name: x[part] for name, x in features.items()}, labels[part]

        # Batch by batch from the file: a copy of the split in every process would be too much of a large one.
        specs = tf.nest.map_structure(lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), (features, labels))
        counted = tf.data.experimental.assert_cardinality(-(-len(labels) // batch_size))
        return tf.data.Dataset.from_generator(batches, output_signature=specs).apply(counted).prefetch(tf.data.AUTOTUNE)

    def _index(self) -> dict:
        with open(os.path.join(self.folder, _INDEX), encoding="utf-8") as file:
            return json.load(file)

    def _map(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.memmap(os.path.join(self.folder, name), dtype, "r", shape=shape)


def write_arrays(folder: str, batches: Iterable[EvaluationBatch]) -> ArraySet:
    """Write rows to a new folder, a batch at a time.

    Raises:
      ValueError: there are no rows.
    """
    os.makedirs(folder)
    files: dict[str, list] = {}
    names: list[dict[str, int]] = []
    num_rows = 0

    def append(name: str, x: np.ndarray) -> None:
        with open(os.path.join(folder, name), "ab") as file:
            file.write(np.ascontiguousarray(x).tobytes())

    for batch in batches:
        labels = np.asarray(batch.labels).reshape(-1)
        num_rows += len(labels)
        append(_LABELS, labels)
        for name, x in batch.features.items():
            files.setdefault(name, [name, x.dtype.name, list(x.shape[1:])])
            append(f"feature-{list(files).index(name)}.bin", x)
        names = names or [{} for _ in batch.slices]
        for i, rows in enumerate(batch.slices):
            codes = [names[i].setdefault(row, len(names[i])) if row else -1 for row in rows]
            append(f"slice-{i}.bin", np.array(codes, np.int32))
    if not num_rows:
        raise ValueError("The eval split has no rows, so no variant can be judged. Give it a share in `data.split`.")
    index = {
        "num_rows": num_rows,
        "label_dtype": labels.dtype.name,
        "features": list(files.values()),
        "slices": [list(n) for n in names],
    }
    with open(os.path.join(folder, _INDEX), "w", encoding="utf-8") as file:
        json.dump(index, file)
    return ArraySet(folder)
