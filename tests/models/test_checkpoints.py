"""A training that was interrupted goes on and ends as if nobody had interrupted it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import in_memory, tabular, training
from models.checkpoints import Checkpoints, Policy
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
    """Interrupts after so many epochs, calls of the training step, before the n-th loss on the eval split, or at the end."""

    def __init__(self, evaluations: int | None = None, epochs: int | str | None = None, calls: int | None = None):
        super().__init__()
        self._evaluations, self._epochs, self._calls, self._seen, self._called = evaluations, epochs, calls, 0, 0

    def _implements_train_batch_hooks(self) -> bool:
        return self._calls is not None

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self._called += 1
        if self._called == self._calls:
            raise KeyboardInterrupt

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


@pytest.mark.parametrize("data", [streamed, in_the_memory])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("calls", [2, 7])
def test_training_goes_on_within_an_epoch_bit_for_bit(data: Callable, precision: str, calls: int, tmp_path: Path):
    fit = {"steps_per_execution": 3, "precision": precision}  # an epoch has 10 steps, in 4 calls
    undisturbed = train(data, [], **fit)
    policy = Policy(steps=1)
    with pytest.raises(KeyboardInterrupt):
        train(data, [Checkpoints(str(tmp_path), policy), Interrupts(calls=calls)], **fit)
    checkpoints = Checkpoints(str(tmp_path), policy)
    assert checkpoints.restored
    assert (checkpoints.restored.epochs, checkpoints.restored.steps) == {2: (0, 6), 7: (1, 9)}[calls]
    assert_same(train(data, [checkpoints], **fit), undisturbed)


def test_checkpoints_within_an_epoch_come_by_steps_or_by_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def positions(**policy: object) -> list[tuple[int, int]]:
        written = []
        checkpoints = Checkpoints(str(tmp_path), Policy(**policy))
        monkeypatch.setattr(checkpoints, "_write", lambda state: written.append((state.epochs, state.steps)))
        train(in_the_memory, [checkpoints], steps_per_execution=2, epochs=2, early_stopping_patience=None)
        return written

    assert positions(steps=4) == [(0, 4), (0, 8), (1, 0), (1, 4), (1, 8), (2, 0)]
    assert positions(minutes=1e-9) == [(0, 2), (0, 4), (0, 6), (0, 8), (1, 0), (1, 2), (1, 4), (1, 6), (1, 8), (2, 0)]
    assert positions(minutes=60.0) == positions() == [(1, 0), (2, 0)]
    assert positions(steps=1, writes=False) == []


def test_batches_of_a_call_are_as_many_with_checkpoints_but_no_more_than_between_two(tmp_path: Path):
    class Seen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.batches = int(self.model._steps_per_execution)

    seen = Seen()
    train(in_the_memory, [Checkpoints(str(tmp_path / "a")), seen], epochs=1)
    assert seen.batches == 10
    train(in_the_memory, [Checkpoints(str(tmp_path / "b"), Policy(steps=4)), seen], epochs=1, checkpoint_steps=4)
    assert seen.batches == 4


def test_last_epoch_leaves_a_checkpoint_that_a_longer_training_goes_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.checkpoints._SHARE", 1e-9)  # no time for a second one
    undisturbed = train(in_the_memory, [], early_stopping_patience=2, learning_rate_schedule="cosine")
    training.make_deterministic(1)
    evaluation = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(64)
    config = training.FitConfig(epochs=EPOCHS, learning_rate=0.02, early_stopping_patience=2, learning_rate_schedule="cosine")
    short = Checkpoints(str(tmp_path), Policy(keep_last=True))
    model = tabular.build(CONFIG, FEATURES, HEAD)
    training.fit(model, HEAD.loss, in_the_memory(), evaluation, config, [short], last_epoch=3)
    longer = Checkpoints(str(tmp_path), Policy(keep_last=True))
    assert longer.restored_epochs == 3
    assert_same(train(in_the_memory, [longer], early_stopping_patience=2, learning_rate_schedule="cosine"), undisturbed)
