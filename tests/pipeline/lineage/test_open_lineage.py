"""OpenLineage run events: the structure that version 2-0-2 of the specification asks for, and what they say."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sample_lineage import FIRST, SECOND, SHA, sample, server_sample

from pipeline.lineage.open_lineage import event_id, run_events

ROOT = Path("/some/root")
SPEC = "https://openlineage.io/spec/"


@pytest.fixture(scope="module")
def events() -> dict[str, Any]:
    return {event["job"]["name"].partition(".")[2]: event for event in run_events(sample(), ROOT)}


def facets_of(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    datasets = [*event["inputs"], *event["outputs"]]
    kinds = ("facets", "inputFacets", "outputFacets")
    for holder in (event["run"]["facets"], event["job"]["facets"], *(d.get(kind, {}) for d in datasets for kind in kinds)):
        yield from holder.items()


def test_there_is_one_event_for_every_stage_in_order(events: dict[str, Any]) -> None:
    assert list(events) == ["ExampleGen", "Transform", "Trainer", "Evaluator", "ModelGate", "EdgePusher"]


def test_every_event_has_what_the_specification_requires(events: dict[str, Any]) -> None:
    for event in events.values():
        assert set(event) == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
        assert event["eventType"] == "COMPLETE"
        assert event["schemaURL"] == f"{SPEC}2-0-2/OpenLineage.json#/$defs/RunEvent"
        assert datetime.fromisoformat(event["eventTime"].replace("Z", "+00:00")).tzinfo is not None
        assert str(uuid.UUID(event["run"]["runId"])) == event["run"]["runId"]
        assert event["job"]["namespace"] == "tfx-pipeline"
        for dataset in event["inputs"]:
            assert set(dataset) - {"inputFacets"} == {"namespace", "name", "facets"}
        for dataset in event["outputs"]:
            assert set(dataset) - {"outputFacets"} == {"namespace", "name", "facets"}


def test_every_facet_names_its_producer_and_the_version_of_its_definition(events: dict[str, Any]) -> None:
    names = set()
    for event in events.values():
        for name, facet in facets_of(event):
            names.add(name)
            assert facet["_producer"] == event["producer"] == "urn:tfx-production-pipeline:lineage:1"
            if name.startswith("tfxPipeline_"):
                assert re.fullmatch(rf"{SPEC}2-0-2/OpenLineage\.json#/\$defs/\w+Facet", facet["_schemaURL"])
            else:
                match = re.fullmatch(rf"{SPEC}facets/\d-\d-\d/(\w+)\.json#/\$defs/(\w+)", facet["_schemaURL"])
                assert match
                assert match[1] == match[2]
    standard = "schema dataSource version outputStatistics dataQualityMetrics dataQualityAssertions nominalTime parent jobType"
    assert {*standard.split(), "processing_engine", "executionParameters"} < names


def test_run_ids_are_the_same_every_time_and_differ_by_stage(events: dict[str, Any]) -> None:
    again = {event["job"]["name"].partition(".")[2]: event for event in run_events(sample(), ROOT)}
    assert json.dumps(again) == json.dumps(events)
    ids = [event["run"]["runId"] for event in events.values()]
    assert len(set(ids)) == len(ids)
    assert events["Trainer"]["run"]["runId"] == event_id(SECOND, "Trainer") == "cb2a3f3a-58ac-5eab-ae84-3b4e7ce02309"
    parents = {name: event["run"]["facets"]["parent"] for name, event in events.items()}
    assert parents["Trainer"]["run"] == parents["EdgePusher"]["run"] == {"runId": event_id(SECOND)}
    assert parents["ExampleGen"]["run"] == {"runId": event_id(FIRST)}
    assert parents["Trainer"]["job"] == {"namespace": "tfx-pipeline", "name": "mini"}


def test_data_files_are_inputs_with_digest_columns_and_counts(events: dict[str, Any]) -> None:
    local, remote = events["ExampleGen"]["inputs"]
    assert (local["namespace"], local["name"]) == ("file", "/data/span-7/a.csv")
    assert local["facets"]["dataSource"]["uri"] == "file:///data/span-7/a.csv"
    assert local["facets"]["version"]["datasetVersion"] == f"sha256:{SHA['a']}"
    assert local["facets"]["schema"]["fields"] == [
        {"name": "fare", "type": "FLOAT"},
        {"name": "company", "type": "BYTES"},
    ]
    metrics = local["inputFacets"]["dataQualityMetrics"]
    assert (metrics["rowCount"], metrics["bytes"], metrics["columnMetrics"]) == (60, 1200, {})
    assert (remote["namespace"], remote["name"]) == ("gs://bucket", "span-7/b.csv")
    assert "version" not in remote["facets"]


def test_examples_are_an_output_with_rows_by_split(events: dict[str, Any]) -> None:
    (examples,) = events["ExampleGen"]["outputs"]
    assert examples["name"] == "/some/root/artifacts/ExampleGen/examples/1"
    assert examples["outputFacets"]["outputStatistics"]["rowCount"] == 98
    assert examples["outputFacets"]["tfxPipeline_splits"]["rows"] == {"train": 65, "eval": 33}
    assert examples["name"] in [dataset["name"] for dataset in events["Transform"]["inputs"]]


def test_hyperparameters_are_parameters_of_the_trainer_alone(events: dict[str, Any]) -> None:
    parameters = events["Trainer"]["run"]["facets"]["executionParameters"]["parameters"]
    assert {p["key"]: p["value"] for p in parameters} == {
        "module": "models.tabular",
        "model.hidden": "[32, 16]",
        "model.dropout": "0.1",
        "fit.seed": "5",
        "fit.epochs": "4",
    }
    assert [name for name, event in events.items() if "executionParameters" in event["run"]["facets"]] == ["Trainer"]


def test_gates_are_assertions_on_what_they_judged(events: dict[str, Any]) -> None:
    evaluation = next(d for d in events["ModelGate"]["inputs"] if "inputFacets" in d)
    assert evaluation["name"] == "/some/root/artifacts/Evaluator/evaluation/5"
    assert evaluation["inputFacets"]["dataQualityAssertions"]["assertions"] == [
        {"assertion": "gate", "success": True, "severity": "error", "name": "auc", "expected": ">= 0.9", "actual": "0.95"},
        {
            "assertion": "gate",
            "success": False,
            "severity": "error",
            "name": "auc (worst slice)",
            "expected": ">= 0.9",
            "params": {"slice": "hour:3"},
        },
    ]
    edge = next(d for d in events["EdgePusher"]["inputs"] if "inputFacets" in d)
    assert edge["name"] == "/some/root/artifacts/Compressor/edge_model/7"
    assert [a["name"] for a in edge["inputFacets"]["dataQualityAssertions"]["assertions"]] == ["edge auc loss"]


def test_pushed_version_is_the_output_of_its_pusher(events: dict[str, Any]) -> None:
    (pushed,) = events["EdgePusher"]["outputs"]
    assert (pushed["namespace"], pushed["name"]) == ("file", "/some/root/pushed/edge/3")
    assert pushed["facets"]["version"]["datasetVersion"] == f"sha256:{SHA['b']}"
    counts = pushed["outputFacets"]["outputStatistics"]
    assert (counts["size"], counts["fileCount"], "rowCount" in counts) == (5000, 6, False)


def test_times_engine_and_code_are_those_of_the_run(events: dict[str, Any]) -> None:
    event = events["Transform"]
    assert event["eventTime"] == "2026-01-01T10:00:02.500Z"
    assert event["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-01-01T10:00:00Z"
    assert event["run"]["facets"]["tfxPipeline_execution"]["started"] == "2026-01-01T10:00:01.000Z"
    engine = event["run"]["facets"]["processing_engine"]
    assert (engine["name"], engine["version"]) == ("TFX", "1.16.0")
    assert event["job"]["facets"]["tfxPipeline_code"]["digest"] == "a" * 32


def test_what_is_not_known_has_no_facet() -> None:
    plain = server_sample(1, run={})
    bare = plain.model_copy(update={"stages": tuple(s.model_copy(update={"code_digest": None}) for s in plain.stages)})
    for event in run_events(bare, ROOT):
        assert "processing_engine" not in event["run"]["facets"]
        assert list(event["job"]["facets"]) == ["jobType"]
