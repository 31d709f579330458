"""What stands for Vertex ML Metadata."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.store import Outputs, Store

PARENT = "projects/1/locations/l"
MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
BLESSING = {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.json", PARENT)


def publish(store: Store, type_: dict, uri: str, **metadata: object):
    outputs = store.publish(Outputs({"one": (store.new(type_, uri, metadata),)}), None)
    return outputs.artifacts["one"][0]


def test_names_are_those_of_resources_and_all_different(store: Store) -> None:
    names = {store.new(MODEL, "u").name for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"projects/1/locations/l/metadataStores/default/artifacts/\d+", name) for name in names)


def test_filters_find_the_newest_live_artifact_that_they_describe(store: Store) -> None:
    model = publish(store, MODEL, "m1")
    publish(store, BLESSING, "b0", blessed=0)
    first = publish(store, BLESSING, "b1", blessed=1, current_model_id=model.name)
    second = publish(store, BLESSING, "b2", blessed=1.0)
    publish(store, BLESSING, "b3", blessed=0)
    text = 'schema_title="tfx.ModelBlessing" AND state=LIVE AND metadata.blessed.number_value=1'
    assert store.query(text, 1) == (second,)
    assert store.query(text, 5) == (second, first)
    assert store.query(f'metadata.current_model_id.string_value="{model.name}"', 1) == (first,)
    assert store.query(f'schema_title="tfx.Model" AND state=LIVE AND name="{model.name}"', 1) == (model,)
    assert store.query('schema_title="tfx.Schema"', 1) == ()


def test_pending_artifacts_are_found_by_nobody(store: Store) -> None:
    store.new(MODEL, "m")
    assert store.query("state=PENDING", 1) == ()
    assert store.query("state=LIVE", 1) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schema_title", "Cannot read the filter 'schema_title'; expected field=value, joined by AND."),
        ('in_context("x")', "Cannot read the filter"),
        ('display_name="x"', "The filter asks for 'display_name'; a rehearsal knows schema_title, state, name, uri"),
    ],
)
def test_filter_that_is_not_understood_is_an_error(store: Store, text: str, reason: str) -> None:
    with pytest.raises(TaskFailedError) as error:
        store.query(text, 1)
    assert str(error.value).startswith(reason)


def test_executions_are_found_by_their_key_in_later_rehearsals_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.json", PARENT)
    live = store.publish(Outputs({"model": (store.new(MODEL, str(tmp_path / "m")),)}, {"count": 3}), "key")
    later = Store(tmp_path / "store.json", PARENT)
    assert later.cached("key") == live
    assert later.cached("other") is None
    assert live.artifacts["model"][0].state == "LIVE"


def test_execution_whose_files_are_gone_is_not_found(tmp_path: Path, store: Store) -> None:
    file = tmp_path / "m"
    file.write_text("x")
    store.publish(Outputs({"model": (store.new(MODEL, str(file)),)}), "key")
    assert store.cached("key") is not None
    file.unlink()
    assert store.cached("key") is None


def test_imported_artifact_is_the_newest_with_type_uri_and_metadata(store: Store) -> None:
    known = publish(store, MODEL, "gs://b/m", version="1")
    assert store.imported(store.new(MODEL, "gs://b/m", {"version": "1"})) == known
    assert store.imported(store.new(MODEL, "gs://b/m", {"version": "2"})) is None
    assert store.imported(store.new(BLESSING, "gs://b/m", {"version": "1"})) is None
    assert store.imported(store.new(MODEL, "gs://b/other", {"version": "1"})) is None


def test_damaged_store_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "store.json").write_text("{")
    assert Store(tmp_path / "store.json", PARENT).query("state=LIVE", 1) == ()
    assert "cannot be read" in caplog.text
