"""Digests follow imports: a stage notices an edit in what it uses, and in nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline import code_digest as digests
from pipeline.code_digest import code_digest, project_digest

STAGES = {
    "ExampleGen": ("pipeline.components.example_gen",),
    "Transform": ("pipeline.entrypoints.transforming", "preprocessing.tabular"),
    "Trainer": ("pipeline.entrypoints.training", "models.tabular"),
    "Compressor": ("pipeline.components.compressor", "models.tabular"),
    "ModelGate": ("pipeline.components.model_gate",),
}


@pytest.fixture
def checkout(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the packages that may be edited."""
    for package in digests.PACKAGES:
        shutil.copytree(repository / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "noticed"),
    [
        ("models/tabular.py", {"Trainer", "Compressor"}),
        ("models/linear.py", {"Trainer", "Compressor"}),
        ("models/metrics.py", {"Trainer", "Compressor", "ModelGate"}),
        ("models/compression/tflite.py", {"Compressor"}),
        ("preprocessing/ops.py", {"Transform", "Trainer", "Compressor"}),
        ("preprocessing/features.py", set(STAGES)),
        ("pipeline/ingest/columns.py", {"ExampleGen"}),
        ("pipeline/gates.py", {"ModelGate"}),
        ("pipeline/graph.py", set()),
        ("pipeline/config.py", set()),
        ("pipeline/local/screen.py", set()),
    ],
)
def test_edit_is_noticed_by_the_stages_that_use_the_file(checkout: Path, file: str, noticed: set[str]) -> None:
    before = {stage: code_digest(*modules) for stage, modules in STAGES.items()}
    with (checkout / file).open("a") as source:
        source.write("\n# One more line.\n")
    after = {stage: code_digest(*modules) for stage, modules in STAGES.items()}
    assert {stage for stage in STAGES if before[stage] != after[stage]} == noticed


def test_project_digest_notices_every_file(checkout: Path) -> None:
    before = project_digest()
    (checkout / "models" / "new.py").write_text("")
    assert project_digest() != before
    assert before.startswith("sha256:")


def test_library_versions_are_part_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_digest("pipeline.gates")
    monkeypatch.setattr(digests, "library_versions", lambda: "tfx==9.9")
    assert code_digest("pipeline.gates") != before


def test_unknown_module_is_an_error() -> None:
    with pytest.raises(ValueError) as caught:
        code_digest("models.no_such_module")
    assert str(caught.value) == "'models.no_such_module' is no module of this project (pipeline, models, preprocessing)."
