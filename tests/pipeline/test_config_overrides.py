"""What `--set` changes in a config, and the digest that tells configs apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mini_config import Load, error_of

from pipeline.config import PipelineConfig


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("fit.epochs=3", lambda config: config.fit.epochs == 3),
        ("gates.0.bound=0.9", lambda config: config.gates[0].bound == 0.9),
        ("model.hidden=[8, 4]", lambda config: config.model.hidden == (8, 4)),
        ("evaluation.slices=[[company]]", lambda config: config.evaluation.slices == (("company",),)),
        ("features.city.kind=categorical", lambda config: config.features["city"].kind == "categorical"),
        ("compression.gates.metric=auc", lambda config: config.compression.gates.metric == "auc"),
        ("data.path=a=b.csv", lambda config: config.data.path == "a=b.csv"),
        ("gates.0={kind: blessed, metric: auc}", lambda config: config.gates[0].kind == "blessed"),
    ],
)
def test_set_replaces_one_value(load: Load, override: str, read: Callable[[PipelineConfig], bool]):
    assert not read_safely(read, load())
    assert read(load(override))


def read_safely(read: Callable[[PipelineConfig], bool], config: PipelineConfig) -> bool:
    try:
        return read(config)
    except (KeyError, AttributeError):
        return False


def test_set_reaches_into_a_list_of_the_file(load: Load):
    assert load("model.hidden.1=9", model={"hidden": [16, 8, 4]}).model.hidden == (16, 9, 4)


def test_the_last_set_wins(load: Load):
    assert load("fit.epochs=3", "fit.epochs=5").fit.epochs == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense", "--set nonsense: expected key.path=value, such as fit.epochs=3."),
        ("=3", "--set =3: expected key.path=value, such as fit.epochs=3."),
        ("gates.5.bound=1", "--set gates.5.bound=1: '5' is no position in a list of 1."),
        ("gates.1=3", "--set gates.1=3: '1' is no position in a list of 1."),
        ("gates.x.bound=1", "--set gates.x.bound=1: 'x' is no position in a list of 1."),
        ("gates.-1.bound=1", "--set gates.-1.bound=1: '-1' is no position in a list of 1."),
        ("gates.²=1", "--set gates.²=1: '²' is no position in a list of 1."),
        ("name.x=1", "--set name.x=1: 'name' holds a single value, not keys."),
        ("name.x.y=1", "--set name.x.y=1: there is nothing below 'x'."),
        ("fit.epochs=[", "--set fit.epochs=[: '[' is not YAML: expected the node content, but found '<stream end>'."),
        ("fit.epoch=3", "{path}: fit.epoch: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("fit.epochs=0", "{path}: fit.epochs: input should be greater than or equal to 1, found 0."),
    ],
)
def test_a_wrong_set_is_named(load: Load, path: Path, override: str, message: str):
    assert error_of(load, override) == message.format(path=path)


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "fit.seed=2",
        "fit.learning_rate=0.01",
        "model.dropout=0.2",
        "model.hidden=[8]",
        "data.path=other.csv",
        "data.split={train: 3, eval: 1}",
        "label.positive=2",
        "features.fare.log=true",
        "gates.0.bound=0.6",
        "evaluation.metrics=[auc]",
        "compression.gates.metric=auc",
    ],
)
def test_the_digest_changes_with_any_value(load: Load, override: str):
    assert load(override).digest != load().digest


def test_the_digest_of_equal_configs_is_equal(load: Load):
    assert load().digest == load("fit.epochs=30").digest
    assert load().digest.startswith("sha256:")
    assert len(load().digest) == len("sha256:") + 64
