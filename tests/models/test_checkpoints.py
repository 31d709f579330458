"""A training that was interrupted goes on and ends as if nobody had interrupted it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import in_memory, tabular, training
from models.checkpoints import Checkpoints
from models.heads import Head
from preprocessing.features import EncodedFeature

FEATURES = (EncodedFeature("fare_xf", "fare"), EncodedFeature("company_xf", "company", num_ids=10))
HEAD = Head("binary", 2)
CONFIG = tabular.Config(embedding_dim=2, numeric_units=4, hidden=(8, 8), dropout=0.3)
RANDOM = np.random.default_rng(2)
INPUTS = {
    "fare_xf": RANDOM.normal(size=(320, 1)).astype(np.float32),
    "company_xf": RANDOM.integers(0, 10, size=(320, 1)).astype(np.int32),
}
LABELS = ((INPUTS["fare_xf"] > 0) ^ (INPUTS["company_xf"] > 6)).astype(np.int64)
EPOCHS = 6


def streamed() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).shuffle(320, seed=3).batch(32)


def in_the_memory() -> tf.data.Dataset:
    blocks = [in_memory.Block((name,), (1,), values) for name, values in INPUTS.items()]
    return in_memory.Split(tuple(blocks), LABELS).dataset(32, shuffle_seed=3)


def of_unknown_length() -> tf.data.Dataset:
    return streamed().filter(lambda *_: True)


@pytest.fixture(autouse=True)
def _save_after_every_epoch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.checkpoints._SHARE", 1e9)


class Interrupts(keras.callbacks.Callback):
    """Interrupts after so many epochs, before the loss on the eval split is computed for the n-th time, or at the end."""

    def __init__(self, evaluations: int | None = None, epochs: int | str | None = None):
        super().__init__()
        self._evaluations, self._epochs, self._seen = evaluations, epochs, 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        if epoch == self._epochs:
            raise KeyboardInterrupt

    def on_train_end(self, logs: object = None) -> None:
        if self._epochs == "end":
            raise KeyboardInterrupt

    def on_test_begin(self, logs: object = None) -> None:
        self._seen += 1
        if self._seen == self._evaluations:
            raise KeyboardInterrupt


def train(
    data: Callable[[], tf.data.Dataset], callbacks: Sequence[keras.callbacks.Callback], **fit: object
) -> tuple[list[np.ndarray], keras.callbacks.History]:
    training.make_deterministic(1)
    model = tabular.build(CONFIG, FEATURES, HEAD)
    evaluation = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(64)
    config = training.FitConfig(**{"seed": 1, "epochs": EPOCHS, "learning_rate": 0.02} | fit)
    history = training.fit(model, HEAD.loss, data(), evaluation, config, callbacks)
    return model.get_weights(), history


def assert_same(one: tuple, other: tuple) -> None:
    for x, y in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(x, y)
    assert one[1].history == other[1].history
    assert one[1].epoch == other[1].epoch


@pytest.mark.parametrize("data", [streamed, in_the_memory, of_unknown_length])
@pytest.mark.parametrize("interrupt", [{"epochs": 1}, {"epochs": 4}, {"evaluations": 3}, {"epochs": "end"}], ids=str)
def test_interrupted_training_ends_like_an_undisturbed_one(data: Callable, interrupt: dict, tmp_path: Path):
    undisturbed = train(data, [])
    with pytest.raises(KeyboardInterrupt):
        train(data, [Checkpoints(str(tmp_path)), Interrupts(**interrupt)])
    checkpoints = Checkpoints(str(tmp_path))
    assert checkpoints.restored_epochs == {1: 1, 4: 4, "end": EPOCHS}.get(interrupt.get("epochs"), 2)
    assert_same(train(data, [checkpoints]), undisturbed)


@pytest.mark.parametrize(
    "fit", [{"learning_rate_schedule": "cosine"}, {"optimizer": "adam"}, {"early_stopping_patience": None}]
)
def test_schedule_and_optimizer_go_on_too(fit: dict, tmp_path: Path):
    undisturbed = train(streamed, [], **fit)
    with pytest.raises(KeyboardInterrupt):
        train(streamed, [Checkpoints(str(tmp_path)), Interrupts(epochs=3)], **fit)
    assert_same(train(streamed, [Checkpoints(str(tmp_path))], **fit), undisturbed)


def test_training_that_early_stopping_had_ended_is_not_trained_further(tmp_path: Path):
    patience = {"early_stopping_patience": 1, "learning_rate": 0.3, "epochs": 30}
    undisturbed = train(streamed, [], **patience)
    assert len(undisturbed[1].epoch) < 30
    with pytest.raises(KeyboardInterrupt):
        train(streamed, [Checkpoints(str(tmp_path)), Interrupts(epochs="end")], **patience)
    checkpoints = Checkpoints(str(tmp_path))
    assert checkpoints.restored
    assert checkpoints.restored.stopped
    assert_same(train(streamed, [checkpoints], **patience), undisturbed)


def test_interrupted_twice(tmp_path: Path):
    undisturbed = train(streamed, [])
    for epoch in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            train(streamed, [Checkpoints(str(tmp_path)), Interrupts(epochs=epoch)])
    assert_same(train(streamed, [Checkpoints(str(tmp_path))]), undisturbed)


def test_saving_takes_only_a_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []
    checkpoints = Checkpoints(str(tmp_path))
    write = checkpoints._write
    monkeypatch.setattr(checkpoints, "_write", lambda state: (written.append(state.epochs), write(state)))
    checkpoints._cost = 0.0
    monkeypatch.setattr("models.checkpoints._SHARE", 1e-9)  # no time for a second one
    train(streamed, [checkpoints], early_stopping_patience=None)
    assert written == [1]


def test_half_written_checkpoint_is_not_seen(tmp_path: Path):
    (tmp_path / "checkpoint.npz.new").write_bytes(b"half")
    assert Checkpoints(str(tmp_path)).restored is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of an archive", b"\x93NUMPY"])
def test_damaged_checkpoint_is_none(content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "checkpoint.npz").write_bytes(content)
    assert Checkpoints(str(tmp_path)).restored is None
    assert "checkpoint.npz is damaged" in caplog.text
    assert "training begins anew." in caplog.text
