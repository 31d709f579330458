"""A lineage without a run: of an edge model made in a second run, with everything in it."""

from __future__ import annotations

from typing import Any

from pipeline.lineage.record import Lineage

FIRST, SECOND = "2026-01-01T10-00-00Z-aaaa", "2026-01-02T10-00-00Z-bbbb"
SHA = {letter: letter * 64 for letter in "abcdef"}


def gate(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "slice": None, "bound": ">= 0.9", "value": 0.95, "passed": True} | changes


def variant(name: str, inputs: str, gates: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "inputs": inputs,
        "techniques": ["pruning", "int8"],
        "recipe": {"name": name, "steps": [{"kind": "prune"}, {"kind": "int8"}]},
        "size_bytes": 4656,
        "metrics": {"auc": 0.949},
        "delta": {"auc": -0.001},
        "sparsity": 0.5,
        "latency_us": 0.9,
        "gates": gates,
    }


def stage(stage_id: str, run_id: str, reads: dict[str, tuple[int, ...]], leaves: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    times = {"started": f"{run_id[:10]}T10:00:01.000Z", "finished": f"{run_id[:10]}T10:00:02.500Z"}
    return {"id": stage_id, "run_id": run_id, "code_digest": SHA["a"][:32], "inputs": reads, "outputs": leaves, **times}


STAGES = [
    stage("ExampleGen", FIRST, {}, {"examples": (1,)}),
    stage("Transform", FIRST, {"examples": (1,), "schema": (2,)}, {"transform_graph": (3,)}),
    stage("Trainer", SECOND, {"transform_graph": (3,)}, {"model": (4,)}),
    stage("Evaluator", SECOND, {"model": (4,)}, {"evaluation": (5,)}),
    stage("ModelGate", SECOND, {"evaluation": (5,), "model": (4,)}, {"blessing": (6,)}),
    stage("EdgePusher", SECOND, {"edge_model": (7,), "model_blessing": (6,)}, {"pushed_edge_model": (8,)}),
]
ARTIFACTS = {
    1: ("Examples", "artifacts/ExampleGen/examples/1"),
    2: ("Schema", "artifacts/CuratedSchema/schema/2"),
    3: ("TransformGraph", "artifacts/Transform/transform_graph/3"),
    4: ("Model", "artifacts/Trainer/model/4"),
    5: ("ModelEvaluation", "artifacts/Evaluator/evaluation/5"),
    6: ("ModelBlessing", "artifacts/ModelGate/blessing/6"),
    7: ("pipeline.EdgeModel", "artifacts/Compressor/edge_model/7"),
    8: ("pipeline.PushedEdgeModel", "artifacts/EdgePusher/pushed_edge_model/8"),
}


def sample(**changes: Any) -> Lineage:
    """Return it, with some parts changed."""
    files = [
        {"path": "/data/span-7/a.csv", "rows": 60, "size_bytes": 1200, "modified": "2026-01-01T00:00:00Z", "sha256": SHA["a"]},
        {"path": "gs://bucket/span-7/b.csv", "rows": 40, "size_bytes": 800, "modified": None, "sha256": None},
    ]
    parent = {"model": "pushed/saved_model/1", "artifact": 9, "run_id": FIRST, "trained": "2026-01-01T10:00:09.000Z"}
    values: dict[str, Any] = {
        "pipeline": "mini",
        "pushed": {
            "path": "pushed/edge/3",
            "kind": "edge",
            "version": 3,
            "time": "2026-01-02T10:00:02.500Z",
            "run_id": SECOND,
            "num_files": 6,
            "size_bytes": 5000,
            "sha256": SHA["b"],
        },
        "run": {
            "started": "2026-01-02T10:00:00Z",
            "config_digest": f"sha256:{SHA['c']}",
            "code_digest": f"sha256:{SHA['d']}",
            "versions": {"python": "3.10.13", "tfx": "1.16.0", "tensorflow": "2.16.2"},
        },
        "data": {
            "kind": "csv",
            "base": "/data",
            "pattern": "span-7/*.csv",
            "span": 7,
            "version": None,
            "sha256": None,
            "files": files,
            "examples": {"train": 65, "eval": 33},
            "quarantined": 2,
        },
        "schema": {"source": "mini.pbtxt", "sha256": SHA["e"], "columns": {"fare": "FLOAT", "company": "BYTES"}},
        "transform": {"module": "preprocessing.tabular", "sha256": SHA["f"], "features": {"fare": "numeric"}},
        "training": {
            "module": "models.tabular",
            "label": {"kind": "binary", "column": "tipped"},
            "model": {"hidden": [32, 16], "dropout": 0.1},
            "fit": {"seed": 5, "epochs": 4},
            "strategy": "auto: one device, /device:CPU:0",
            "epochs": 3,
            "examples": 65,
            "parameters": 1234,
        },
        "evaluation": {
            "metrics": {"candidate": {"auc": 0.95}, "baseline": {"auc": 0.94}, "simple_baseline": {"auc": None}},
            "num_slices": 12,
            "gates": [gate("auc"), gate("auc (worst slice)", slice="hour:3", value=None, passed=False)],
        },
        "edge": {
            "float_model": parent | {"model": "pushed/saved_model/2", "artifact": 4, "run_id": SECOND, "pushed": None},
            "chosen": variant("smallest", "transformed", [gate("edge auc loss", bound="<= 0.005", value=0.001)]),
            "chosen_raw": None,
        },
        "parents": [parent | {"pushed": "2026-01-01T10:00:10.000Z"}],
        "stages": STAGES,
        "artifacts": [{"id": i, "type": kind, "uri": uri} for i, (kind, uri) in ARTIFACTS.items()],
    }
    return Lineage.model_validate(values | changes)


def server_sample(version: int, **changes: Any) -> Lineage:
    """Return the lineage of a SavedModel."""
    pushed = {"path": f"pushed/saved_model/{version}", "kind": "saved_model", "version": version, "run_id": SECOND}
    content = {"num_files": 5, "size_bytes": 7000, "sha256": SHA["b"]}
    return sample(pushed=pushed | content | {"time": "2026-01-02T10:00:02.500Z"}, edge=None, **changes)
