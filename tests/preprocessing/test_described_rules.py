"""The rules that an edge package spells out, carried out here in plain NumPy, against the transform graph itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from preprocessing.description import describe, vocabularies
from preprocessing.features import encoded_features

Rules = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def rules(analyzed) -> Rules:
    """What a package says, after its way through JSON."""
    records = json.loads(json.dumps(describe(analyzed.features, analyzed.transform)))
    return {record["feature"]: record for record in records}


@pytest.fixture(scope="module")
def known(analyzed) -> Mapping[str, Sequence[str]]:
    return vocabularies(analyzed.features, analyzed.transform)


def unseen_rows(rules: Rules) -> list[dict[str, Any]]:
    """Return rows with everything missing, and with values that training never saw, one at a time."""
    rows: list[dict[str, Any]] = [{}]
    rows += [{"company": value} for value in ("Nobody", "Rare", "flash", "", "Zürich Taxi ")]
    rows += [{"payment": f"new {i}"} for i in range(12)] + [{"payment": "two\nlines"}]
    rows += [{"code": value} for value in (7, 5, -1, 2**40)]
    rows += [{"zone": value} for value in (99.0, 3.5, math.nan)]
    rows += [{"area": value} for value in (-1, 0, 4, 5, 10**12)]
    rows += [{"stars": value} for value in (-0.5, 2.0, 2.5, 3.0, 1e30, math.nan)]
    rows += [{"hour": 24}, {"hour": -5}, {"weekday": 6.5}, {"month": 13}, {"weekday": math.nan}]
    rows += [{"fare": value} for value in (0.0, -0.01, 1e6, -1e6, 3e38, math.nan)]
    rows += [{"seconds": value} for value in (0, -(10**9), 10**9)]
    rows += [{"odometer": value} for value in (100_001.5, 99_990.0, 0.0)] + [{"year": value} for value in (2016, 1970)]
    rows += [{"constant": value} for value in (2.5, 2.4999998, -7.0)]
    rows += [{"never": value} for value in (0.0, -3.0, 1e6)] + [{"never_said": "something"}]
    edges = [np.float32(edge) for edge in rules["fare_bucket"]["boundaries"]]
    rows += [{"fare": float(np.nextafter(edge, np.float32(side)))} for edge in edges for side in (-np.inf, edge, np.inf)]
    rows += [{"seconds": int(edge) + step} for edge in rules["seconds_bucket"]["boundaries"] for step in (-1, 0, 1)]
    return [{"latitude": 41.9} | row for row in rows]


def encode(rules: Rules, known: Mapping[str, Sequence[str]], row: Mapping[str, Any]) -> dict[str, list[float]]:
    """Apply the rules to one row: {input: values}."""
    inputs: dict[str, list[float]] = {}
    for name, rule in rules.items():
        if rule["kind"] != "crossed":
            x = row.get(rule["column"])
            missing = x is None or x == "" or (isinstance(x, float) and math.isnan(x))
            inputs |= zip(rule["inputs"], _encode(rule, known.get(name, ()), None if missing else x), strict=True)
    for rule in rules.values():
        if rule["kind"] == "crossed":
            h, *rest = (int(inputs[part][0]) for part in rule["of"])
            for i in rest:
                h = h * 1_000_003 + i
            inputs[rule["inputs"][0]] = [h % rule["num_buckets"]]
    return inputs


def _encode(rule: Mapping[str, Any], vocabulary: Sequence[str], x: Any) -> list[list[float]]:
    kind = rule["kind"]
    if kind == "numeric":
        if x is None:
            return [[0.0], [1.0]]
        x = float(np.float32(x))  # what a float of a tf.Example holds
        x = math.copysign(math.log1p(abs(x)), x) if rule["log"] else x
        return [[(x - rule["mean"]) / rule["std"]], [0.0]]
    if kind == "cyclical":
        angle = 2 * math.pi * (x or 0) / rule["period"]
        return [[0.0, 0.0] if x is None else [math.sin(angle), math.cos(angle)]]
    if x is None:
        return [[0]]
    if kind == "bucketized":
        return [[1 + sum(np.float32(boundary) <= np.float32(x) for boundary in rule["boundaries"])]]
    if kind == "integer_categorical":
        return [[int(x) + 1 if x in range(rule["num_values"]) else rule["num_values"] + 1]]
    if kind == "categorical":
        text = x if isinstance(x, str) else f"{x:g}" if isinstance(x, float) else str(x)
        if text in vocabulary:
            return [[1 + vocabulary.index(text)]]
        buckets = 5 if "Fingerprint64(x) mod 5" in rule["rule"] else 1
        return [[1 + len(vocabulary) + int(tf.strings.to_hash_bucket_fast(text, buckets))]]  # is farmhash::Fingerprint64
    raise AssertionError(kind)


def assert_reproduced(analyzed, rules: Rules, known: Mapping[str, Sequence[str]], rows: Sequence[Mapping[str, Any]]) -> None:
    outputs = analyzed.apply(rows)
    encoded = [encode(rules, known, row) for row in rows]
    listed = encoded_features(analyzed.features, analyzed.transform.vocabulary_size_by_name)
    assert sorted(encoded[0]) == sorted(feature.name for feature in listed)
    for feature in listed:
        expected = np.array([row[feature.name] for row in encoded])
        if feature.num_ids:
            np.testing.assert_array_equal(outputs[feature.name], expected, err_msg=feature.name)
        else:
            np.testing.assert_allclose(outputs[feature.name], expected, rtol=1e-5, atol=1e-4, err_msg=feature.name)


def test_described_rules_reproduce_the_graph_on_training_rows(analyzed, rules, known):
    assert_reproduced(analyzed, rules, known, analyzed.rows)


def test_described_rules_reproduce_the_graph_on_missing_and_unseen_values(analyzed, rules, known):
    assert_reproduced(analyzed, rules, known, unseen_rows(rules))


def test_described_mean_and_deviation_are_those_of_the_present_values(analyzed, rules):
    for name, log in (("fare", True), ("latitude", False), ("odometer", False), ("seconds", False), ("seconds_log", True)):
        column = rules[name]["column"]
        x = np.array([row[column] for row in analyzed.rows if column in row], np.float64)
        x = np.sign(x) * np.log1p(np.abs(x)) if log else x
        assert rules[name]["mean"] == pytest.approx(x.mean(), abs=3e-3 * x.std()), name
        assert rules[name]["std"] == pytest.approx(x.std(), rel=1e-4), name  # TFT averages in float32
        assert rules[name]["log"] is log


def test_constant_column_is_described_with_deviation_one(rules):
    assert rules["constant"]["mean"] == pytest.approx(2.5, abs=1e-6)
    assert rules["constant"]["std"] == pytest.approx(1.0, abs=1e-6)


def test_column_without_any_value_is_described_as_the_identity(rules):
    assert rules["never"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert rules["never"]["std"] == pytest.approx(1.0, abs=1e-6)


def test_described_boundaries_cut_the_present_values_into_about_equal_counts(analyzed, rules):
    x = np.array([row["fare"] for row in analyzed.rows if "fare" in row], np.float32)
    boundaries = rules["fare_bucket"]["boundaries"]
    assert len(boundaries) == 3
    counts = np.bincount(np.searchsorted(np.array(boundaries, np.float32), x, side="right"))
    assert counts.sum() == len(x)
    assert counts == pytest.approx(np.full(4, len(x) / 4), abs=0.03 * len(x))


def test_boundaries_of_an_integer_column_are_whole_and_repeat_where_a_value_is_frequent(rules):
    boundaries = rules["seconds_bucket"]["boundaries"]
    assert boundaries[:2] == [0.0, 0.0]  # a third of the values is 0
    assert len(boundaries) == 5
    assert all(boundary == int(boundary) for boundary in boundaries)
    assert boundaries == sorted(boundaries)


def test_every_record_names_its_inputs_and_its_rule(analyzed, rules):
    assert list(rules) == list(analyzed.features)
    listed = encoded_features(analyzed.features, analyzed.transform.vocabulary_size_by_name)
    assert [name for rule in rules.values() for name in rule["inputs"]] == [feature.name for feature in listed]
    assert rules["pair"] == {
        "feature": "pair",
        "kind": "crossed",
        "inputs": ["pair_xf"],
        "of": ["company_xf", "fare_bucket_xf"],
        "num_buckets": 16,
        "rule": "h = ids[0]; for each further id: h = h * 1000003 + id (64-bit); input = h mod 16",
    }
    assert rules["area"]["rule"] == "input = x + 1 for whole x in [0, 5), 6 for any other x; 0 when x is missing"
    assert rules["company"]["vocabulary"] == "vocabularies/company.txt"
    assert rules["company"]["vocabulary_size"] == 3
    assert rules["company"]["rule"] == (
        "input = 1 + line (from 0) of x in the vocabulary; 4 for any other value; 0 when x is missing"
    )
    assert "3 + farmhash::Fingerprint64(x) mod 5 for any other value" in rules["payment"]["rule"]
