"""Digests follow imports: a stage notices an edit in what it uses, and in nothing else."""

from __future__ import annotations

import ast
import importlib.metadata
import shutil
import sys
from pathlib import Path

import pytest

from pipeline import code_digest as digests
from pipeline.code_digest import code_digest, project_digest

STAGES = {
    "ExampleGen": ("pipeline.components.example_gen",),
    "SchemaGen": ("pipeline.components.schema_gen_executor",),
    "Transform": ("pipeline.entrypoints.transforming", "preprocessing.tabular"),
    "Trainer": ("pipeline.entrypoints.training", "models.tabular"),
    "Compressor": ("pipeline.components.compressor_executor", "models.tabular"),
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
        ("preprocessing/features.py", set(STAGES) - {"SchemaGen"}),
        ("pipeline/components/schema_gen_executor.py", {"SchemaGen"}),
        ("pipeline/components/trainer_executor.py", {"Trainer", "Compressor"}),
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


@pytest.mark.parametrize("package", ["models", "preprocessing"])
def test_version_of_every_library_that_computes_is_part_of_the_digest(repository: Path, package: str, current: bool) -> None:
    imported = set()
    for path in (repository / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    # They read configs, measure memory and draw.
    others = {*sys.stdlib_module_names, *digests.PACKAGES, "pydantic", "psutil", "matplotlib", "jinja2", "markupsafe"}
    names = {"scikit-learn" if name == "sklearn" else name.replace("_", "-") for name in imported - others}
    assert names - {*digests.LIBRARIES, *digests.OF_ONE_GENERATION} == set()
    here = names - set(() if current else digests.OF_ONE_GENERATION)
    assert {f"{name}=={importlib.metadata.version(name)}" for name in here} <= set(digests.library_versions().split())


def test_unknown_module_is_an_error() -> None:
    with pytest.raises(ValueError) as caught:
        code_digest("models.no_such_module")
    assert str(caught.value) == "'models.no_such_module' is no module of this project (pipeline, models, preprocessing)."


@pytest.mark.parametrize("name", ["tensorflow", "runner_local", "pipeline.entrypoints.training.run_fn"])
def test_module_of_another_project_and_function_are_errors(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        code_digest(name)
    assert str(caught.value) == f"'{name}' is no module of this project (pipeline, models, preprocessing)."


def test_digest_does_not_depend_on_where_the_project_lies(
    checkout: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = {stage: code_digest(*modules) for stage, modules in STAGES.items()}
    monkeypatch.setattr(digests, "ROOT", repository)
    assert {stage: code_digest(*modules) for stage, modules in STAGES.items()} == copied
    assert len(set(copied.values())) == len(STAGES)


def test_module_counts_like_its_name_and_order_does_not() -> None:
    assert code_digest(digests) == code_digest("pipeline.code_digest")
    assert code_digest("models.tabular", "models.heads") == code_digest("models.heads", "models.tabular")


@pytest.mark.parametrize(
    "line",
    [
        "import models.leaf",
        "import models.leaf as other",
        "from models import leaf",
        "from models.leaf import VALUE",
        "from . import leaf",
        "from .leaf import VALUE",
        "def late():\n    from models import leaf",
    ],
)
def test_import_of_any_form_is_followed(checkout: Path, line: str) -> None:
    (checkout / "models" / "root.py").write_text(f"{line}\n")
    (checkout / "models" / "leaf.py").write_text("VALUE = 1\n")
    before = code_digest("models.root")
    (checkout / "models" / "leaf.py").write_text("VALUE = 2\n")
    assert code_digest("models.root") != before


def test_modules_that_import_each_other_are_followed(checkout: Path) -> None:
    (checkout / "models" / "ping.py").write_text("import models.pong\n")
    (checkout / "models" / "pong.py").write_text("import models.ping\n")
    before = code_digest("models.ping")
    (checkout / "models" / "pong.py").write_text("import models.ping  # edited\n")
    assert code_digest("models.ping") != before
