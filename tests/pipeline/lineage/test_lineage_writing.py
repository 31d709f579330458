"""What a run does about its lineage must never cost it anything."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from pipeline.lineage.writing import write_lineage


def summary(**pushed: str | None) -> dict[str, Any]:
    return {"run_id": "run-1", "pushed": {"saved_model": None, "edge": None} | pushed}


def test_run_that_pushed_nothing_writes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lineage(tmp_path, summary())
    assert list(tmp_path.iterdir()) == []
    assert caplog.records == []


def test_failure_is_logged_and_not_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        write_lineage(tmp_path, summary(saved_model="pushed/saved_model/1"))
    (record,) = caplog.records
    assert record.getMessage().startswith("The lineage was not written:\nTraceback")
    assert record.getMessage().rstrip().endswith(f"StoreError: {tmp_path}/metadata.db does not exist.")
    assert list(tmp_path.iterdir()) == []
