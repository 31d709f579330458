"""What one part of a config names in another: features that are crossed, the label's column, metrics and slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mini_config import Load, error_of, features, gate

from pipeline.config import load_config
from pipeline.errors import ConfigError


def crossed(*of: str) -> dict[str, Any]:
    return {"kind": "crossed", "of": list(of), "num_buckets": 8}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"pair": crossed("company", "compny")}, "features.pair.of: unknown feature 'compny'. Did you mean 'company'?"),
        ({"pair": crossed("company", "zzz")}, "features.pair.of: unknown feature 'zzz'."),
        (
            {"pair": crossed("company", "fare")},
            "features.pair.of: 'fare' is numeric. Only these can be crossed: bucketized, categorical, integer_categorical.",
        ),
        (
            {"hour": {"kind": "cyclical", "period": "hour"}, "pair": crossed("company", "hour")},
            "features.pair.of: 'hour' is cyclical. Only these can be crossed: bucketized, categorical, integer_categorical.",
        ),
        (
            {"city": {"kind": "categorical"}, "pair": crossed("company", "city"), "more": crossed("company", "pair")},
            "features.more.of: 'pair' is crossed. Only these can be crossed: bucketized, categorical, integer_categorical.",
        ),
        ({"tipped": {"kind": "numeric"}}, "features.tipped: reads the label's column 'tipped'. A label is no feature."),
        (
            {"tip": {"kind": "bucketized", "column": "tipped"}},
            "features.tip: reads the label's column 'tipped'. A label is no feature.",
        ),
    ],
)
def test_a_feature_that_cannot_be_made_is_named(load: Load, path: Path, more: dict, message: str):
    assert error_of(load, **features(**more)) == f"{path}: {message}"


def test_features_that_hold_ids_can_be_crossed(load: Load):
    config = load(
        **features(
            bucket={"kind": "bucketized", "column": "fare"},
            area={"kind": "integer_categorical", "num_values": 4},
            triple=crossed("company", "bucket", "area"),
        )
    )
    assert config.features["triple"].of == ("company", "bucket", "area")


def test_feature_named_like_the_label_is_an_error(repository: Path):
    with pytest.raises(ConfigError) as caught:
        load_config(repository / "configs" / "taxi.yaml", ["features.big_tipper={kind: numeric, column: fare}"])
    assert str(caught.value).endswith("features.big_tipper: has the name of the label's column. Give it another name.")


@pytest.mark.parametrize(
    ("sections", "place", "metric"),
    [
        ({"evaluation": {"metrics": ["auc", "auk"]}}, "evaluation.metrics", "auk"),
        (gate(metric="rmse"), "gates.0.metric", "rmse"),
        ({"compression": {"gates": {"metric": "f1"}}}, "compression.gates.metric", "f1"),
    ],
)
def test_an_unknown_metric_is_named_with_the_known_ones(load: Load, path: Path, sections: dict, place: str, metric: str):
    assert error_of(load, **sections) == (
        f"{path}: {place}: unknown metric '{metric}'. Expected one of: auc, accuracy, log_loss (label kind binary)."
    )


def test_a_metric_of_another_label_kind_is_unknown(load: Load, path: Path):
    assert error_of(load, label={"kind": "regression", "column": "tipped"}) == (
        f"{path}: gates.0.metric: unknown metric 'auc'. Expected one of: rmse, mae (label kind regression)."
    )


def test_a_worst_slice_must_be_among_the_slices(load: Load, path: Path):
    worst = {"gates": [{"kind": "worst_slice", "metric": "auc", "slice": ["company"], "bound": 0.4}]}
    assert error_of(load, **worst, evaluation={"slices": [["fare"]]}) == (
        f"{path}: gates.0.slice: ['company'] is not among evaluation.slices. Add it there."
    )
    assert load(**worst, evaluation={"slices": [["company"]]}).gates[0].slice == ("company",)
