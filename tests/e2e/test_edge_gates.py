"""What happens to the pushes when no edge variant passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline_runs import Finished, run_here
from small_pipeline import write_small_taxi_config

pytestmark = pytest.mark.e2e

TOO_SMALL = "compression.gates.max_size_bytes=1000"


@pytest.fixture(scope="module")
def config(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taxi with few features, a small model and two recipes, one of which cannot work."""
    nowhere = {"name": "nowhere", "steps": [{"kind": "prune", "layers": {"names": ["no_such_layer"]}}, "int8"]}
    compression = {"recipes": ["dynamic", nowhere], "gates": {"metric": "auc"}}
    return write_small_taxi_config(repository, tmp_path_factory.mktemp("edge_gates"), compression)


@pytest.fixture(scope="module")
def refused(config: Path) -> Finished:
    return run_here(config, config.parent / "root", TOO_SMALL)


def test_server_model_is_pushed_and_the_edge_model_is_not(refused: Finished) -> None:
    assert refused.code == 3, refused.output
    assert refused.summary["status"] == "not_blessed"
    assert refused.summary["edge"]["chosen"] is None
    assert refused.summary["pushed"] == {"saved_model": "pushed/saved_model/1", "edge": None}


def test_every_variant_keeps_its_reason(refused: Finished) -> None:
    errors = {v["name"]: v["error"] for v in refused.summary["edge"]["variants"]}
    assert errors["dynamic"].startswith("edge bytes is ")
    assert errors["dynamic"].endswith(", bound <= 1000")
    assert errors["nowhere"].startswith("prune: no layer matches types ")
    failed = [gate for gate in refused.summary["gates"] if not gate["passed"]]
    assert [gate["name"] for gate in failed] == ["edge bytes"]
    assert f"Gate not passed: edge bytes is {failed[0]['value']}, bound <= 1000." in refused.output


def test_server_model_waits_for_the_edge_model_if_the_config_says_so(config: Path) -> None:
    done = run_here(config, config.parent / "together", TOO_SMALL, "compression.server_needs_edge=true")
    assert done.code == 3
    assert done.summary["pushed"] == {"saved_model": None, "edge": None}
