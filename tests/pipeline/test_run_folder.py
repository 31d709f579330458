"""What a run leaves for programs."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from pipeline.local.run_folder import likely_all_reused, make_newest, release, reserve, run_folder, write_summary


def leave(root: Path, run_id: str, **content: object) -> None:
    run_folder(root, run_id).mkdir(parents=True)
    write_summary(root, {"run_id": run_id, "pushed": {}} | content)
    make_newest(root, run_id)


def test_newest_run_is_the_one_linked(tmp_path: Path) -> None:
    leave(tmp_path, "first")
    leave(tmp_path, "second")
    assert json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())["run_id"] == "second"
    assert sorted(path.name for path in (tmp_path / "runs" / "second").iterdir()) == ["summary.json"]


def test_copied_link_to_the_newest_run_is_one_again(tmp_path: Path) -> None:
    leave(tmp_path, "first")
    latest = tmp_path / "runs" / "latest"
    latest.unlink()
    shutil.copytree(tmp_path / "runs" / "first", latest)
    leave(tmp_path, "second")
    assert latest.is_symlink()
    assert latest.resolve().name == "second"
    assert (tmp_path / "runs" / "first" / "summary.json").exists()


@pytest.mark.parametrize("text", ["", '{"status": "succ', "[]", "\0\0\0"])
def test_summary_that_cannot_be_read_promises_nothing(tmp_path: Path, text: str) -> None:
    leave(tmp_path, "run", status="succeeded", config_digest="a", code_digest="b", versions={})
    this = {"config_digest": "a", "code_digest": "b", "versions": {}}
    assert likely_all_reused(tmp_path, this)
    (tmp_path / "runs" / "run" / "summary.json").write_text(text)
    assert not likely_all_reused(tmp_path, this)


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    leave(tmp_path, "run", edge={"metrics": [math.nan, {"auc": math.inf}, 0.5]})
    text = (tmp_path / "runs" / "run" / "summary.json").read_text()
    assert json.loads(text, parse_constant=lambda name: name)["edge"] == {"metrics": [None, {"auc": None}, 0.5]}


def test_summary_fits_where_its_space_was_reserved(tmp_path: Path) -> None:
    reserve(tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= 2**20
    release(tmp_path)
    assert list(tmp_path.iterdir()) == []
    release(tmp_path)


@pytest.mark.parametrize(
    ("status", "trainer", "changed", "expected"),
    [
        ("succeeded", "reused", {}, True),
        ("not_blessed", "reused", {}, True),
        ("succeeded", "ran", {}, False),  # the Evaluator has a new model to compare with
        ("failed", "reused", {}, False),
        ("succeeded", "reused", {"code_digest": "d"}, False),
    ],
)
def test_a_run_has_nothing_to_do_if_the_last_one_had_the_same_config_and_code_and_trained_nothing(
    tmp_path: Path, status: str, trainer: str, changed: dict, expected: bool
) -> None:
    this = {"config_digest": "a", "code_digest": "b", "versions": {"python": "3"}}
    assert not likely_all_reused(tmp_path, this)
    leave(tmp_path, "run", status=status, stages=[{"id": "Trainer", "state": trainer}], **this)
    assert likely_all_reused(tmp_path, this | changed) == expected
