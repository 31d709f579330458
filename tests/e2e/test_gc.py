"""What nothing needs any more goes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_runs import versions
from two_versions import put_back, run_command, run_with_seed

from pipeline.local.rolling_back import roll_back
from pipeline.local.store import open_store

pytestmark = pytest.mark.e2e


@pytest.fixture
def root(two_versions: Path) -> Path:
    return put_back(two_versions)


def test_nothing_ran_nothing_to_do(repository: Path, tmp_path: Path) -> None:
    for name in ("rollback", "gc"):
        done = run_command(repository, name, "--root", tmp_path)
        assert done.returncode == 2
        assert done.stderr == f"Nothing has run in {tmp_path}. Give the --root of a run, or its --config.\n"


def test_dry_run_lists_and_removes_nothing(repository: Path, root: Path) -> None:
    before = sorted(str(path) for path in root.rglob("*"))
    done = run_command(repository, "gc", "--root", root, "--keep-runs", 1, "--keep-pushed", 1, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "May go:" in done.stdout
    for kind in ("Trainer", "Compressor", "pushed edge", "pushed saved_model", "run", "in all"):
        assert f"│ {kind} " in done.stdout
    assert "ExampleGen" not in done.stdout  # the second run reads what the first one ingested
    assert "Nothing was removed." in done.stdout
    assert sorted(str(path) for path in root.rglob("*") if path.name != ".lock-stages") == [
        path for path in before if not path.endswith(".lock-stages")
    ]


def test_what_is_kept_is_all_that_the_next_run_needs(repository: Path, root: Path) -> None:
    latest = (root / "runs" / "latest").resolve()
    done = run_command(repository, "gc", "--root", root, "--keep-runs", 1, "--keep-pushed", 1)
    assert done.returncode == 0, done.stderr
    assert "Gone:" in done.stdout
    assert versions(root, "saved_model") == versions(root, "edge") == ["2"]
    assert [path.name for path in (root / "runs").iterdir() if not path.is_symlink()] == [latest.name]
    assert len(list((root / "artifacts" / "Trainer" / "model").iterdir())) == 1
    assert nothing_points_at_what_is_gone(root)
    again = run_with_seed(root, 2)
    assert again.code == 0, again.output
    assert again.states["Trainer"] == again.states["Compressor"] == again.states["Transform"] == "reused"
    assert versions(root, "saved_model") == ["2"]


def test_what_was_removed_is_made_anew(repository: Path, root: Path) -> None:
    run_command(repository, "gc", "--root", root, "--keep-runs", 1, "--keep-pushed", 1)
    first = run_with_seed(root, 1)
    assert first.code == 0, first.output
    assert first.states["Transform"] == "reused"
    assert first.states["Trainer"] == "ran"
    assert versions(root, "saved_model") == ["2", "3"]


def test_kept_versions_keep_what_they_were_made_from(repository: Path, root: Path) -> None:
    done = run_command(repository, "gc", "--root", root, "--keep-runs", 1)
    assert done.returncode == 0
    assert len(list((root / "artifacts" / "Trainer" / "model").iterdir())) == 2
    assert versions(root, "saved_model") == ["1", "2"]
    old = next(path for path in (root / "runs").iterdir() if path != (root / "runs" / "latest").resolve() and path.is_dir())
    assert {path.name for path in old.iterdir()} <= {"summary.json", "lineage.json", "log.txt"}


def test_gc_keeps_what_the_version_that_came_back_was_made_from(repository: Path, root: Path) -> None:
    roll_back(root)
    done = run_command(repository, "gc", "--root", root, "--keep-runs", 1, "--keep-pushed", 1)
    assert done.returncode == 0, done.stderr
    assert versions(root, "saved_model") == versions(root, "edge") == ["1", "3"]
    told = run_command(repository, "lineage", "--root", root)
    assert told.stdout.startswith("pushed/saved_model/1 of pipeline small")


def nothing_points_at_what_is_gone(root: Path) -> bool:
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    artifacts = open_store(root).get_artifacts()
    return all(Path(a.uri).exists() == (a.state == mlmd.Artifact.LIVE) for a in artifacts)
