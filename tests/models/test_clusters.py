"""TF_CONFIG: who the workers are, which one this is, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.cluster import is_chief, read_cluster

WORKERS = {"worker": ["a:1", "b:1"]}


def read(content: Any):
    """Read what is set."""
    return read_cluster({"TF_CONFIG": content if isinstance(content, str) else json.dumps(content)})


def test_no_cluster_is_none():
    assert read_cluster({}) is None
    assert read({"cluster": {}, "task": {"type": "worker", "index": 0}}) is None


def test_worker_0_is_the_chief_where_there_is_no_other():
    first, second = (read({"cluster": WORKERS, "task": {"type": "worker", "index": i}}) for i in range(2))
    assert (first.addresses, first.position, first.is_chief, first.task) == (("a:1", "b:1"), 0, True, "worker 0")
    assert (second.position, second.is_chief) == (1, False)


def test_chief_comes_before_the_workers():
    cluster = {"chief": ["c:1"], **WORKERS}
    chief, worker = (read({"cluster": cluster, "task": {"type": kind, "index": 0}}) for kind in ("chief", "worker"))
    assert (chief.addresses, chief.position, chief.is_chief) == (("c:1", "a:1", "b:1"), 0, True)
    assert (worker.position, worker.is_chief) == (1, False)


def test_process_outside_of_a_cluster_writes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert is_chief()
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 1}}))
    assert not is_chief()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is no JSON (Expecting value"),
        ("{cluster", "is no JSON (Expecting property name"),
        ([1], "is no JSON object but [1]"),
        ({"cluster": ["a:1"]}, 'has the cluster ["a:1"], not {"worker": ["host:port", ...]}'),
        ({"cluster": {"worker": "a:1"}}, 'has the cluster {"worker": "a:1"}, not'),
        ({"cluster": {"worker": ["a"]}}, 'has the cluster {"worker": ["a"]}, not'),
        ({"cluster": {**WORKERS, "ps": ["p:1"]}}, "has tasks of the type ps; only chief and worker take part"),
        ({"cluster": {"chief": ["c:1", "d:1"]}}, "names 2 chiefs; there is one at most"),
        ({"cluster": {"worker": ["a:1", "a:1"]}}, "names a:1 more than once"),
        ({"cluster": WORKERS}, "does not say which worker this is: its task is null"),
        ({"cluster": WORKERS, "task": {"type": "worker"}}, 'its task is {"type": "worker"}'),
        (
            {"cluster": WORKERS, "task": {"type": "chief", "index": 0}},
            "of the type 'chief', of which its cluster has none (worker)",
        ),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": "x"}}, "has the task index 'x', which is no number"),
        (
            {"cluster": WORKERS, "task": {"type": "worker", "index": 2}},
            "has the task index 2, but its cluster has 2 of the type 'worker', counted from 0",
        ),
    ],
)
def test_broken_tf_config_is_an_error_with_the_cure(content: Any, fault: str):
    with pytest.raises(ValueError) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith("TF_CONFIG ")
    assert fault in message
    assert message.endswith("Correct it, or unset it for a training of one process.")
