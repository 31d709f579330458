"""The smallest config, sections that differ from it, and what is said of one that cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.config import PipelineConfig
from pipeline.errors import ConfigError

MINI: Mapping[str, Any] = {
    "name": "mini",
    "task": "tabular",
    "data": {"path": "data.csv"},
    "label": {"kind": "binary", "column": "tipped"},
    "features": {"fare": {"kind": "numeric"}, "company": {"kind": "categorical"}},
    "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
}

Load = Callable[..., PipelineConfig]


def error_of(load: Load, *overrides: str, **sections: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*overrides, **sections)
    return str(caught.value)


def gate(**changes: Any) -> dict[str, Any]:
    return {"gates": [{"kind": "bound", "metric": "auc", "bound": 0.5} | changes]}


def features(**more: Any) -> dict[str, Any]:
    return {"features": dict(MINI["features"]) | more}
