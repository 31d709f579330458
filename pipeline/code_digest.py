"""Digests of the project code a stage runs, for cache keys: TFX hashes a dotted entry point as a string, not what it does."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "models", "preprocessing")
# Libraries whose version changes what a stage computes.
LIBRARIES = (
    "tfx", "tensorflow", "tf-keras", "tensorflow-transform", "tensorflow-data-validation", "tensorflow-model-analysis",
    "tensorflow-model-optimization", "apache-beam", "numpy", "scipy", "pyarrow", "keras-tuner", "scikit-learn",
)  # fmt: skip
OF_ONE_GENERATION = ("ai-edge-litert", "litert-quantizer")


def code_digest(*modules: str | ModuleType) -> str:
    """Return a digest of some modules, of all project modules they import, directly or not, and of the library versions.

    Args:
      modules: such as "models.tabular", or the module itself.

    Raises:
      ValueError: there is no such module in the project.
    """
    pending = [module if isinstance(module, str) else module.__name__ for module in modules]
    found: dict[str, bytes] = {}
    while pending:
        name = pending.pop()
        if name not in found:
            path = _file_of(name)
            if path is None:
                raise ValueError(f"'{name}' is no module of this project ({', '.join(PACKAGES)}).")
            found[name] = path.read_bytes()
            pending += [imported for imported in _imports(name, path, found[name]) if imported not in found]
    digest = hashlib.sha256(library_versions().encode())
    for name, source in sorted(found.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(source).digest())
    return digest.hexdigest()[:32]


def project_digest() -> str:
    """Return a digest of every module of the project and of the library versions."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    ]
    return "sha256:" + code_digest(*sorted(names))


@functools.cache
def library_versions() -> str:
    """Return "name==version" of Python and the libraries that compute something."""
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in LIBRARIES]
    for name in OF_ONE_GENERATION:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name}=={importlib.metadata.version(name)}")
    return " ".join([f"python=={platform.python_version()}", *versions])


def _file_of(name: str) -> Path | None:
    if name.split(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache
def _imports(module: str, path: Path, source: bytes) -> tuple[str, ...]:
    """Return the project modules that a file of this content imports, wherever in it."""
    return tuple(dict.fromkeys(_imported(module, path, source)))


def _imported(module: str, path: Path, source: bytes) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([node.module] if node.module else [])])
            candidates = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for candidate in candidates:
            # Importing a.b.c runs a and a.b as well.
            parts = candidate.split(".")
            yield from (name for n in range(1, len(parts) + 1) if _file_of(name := ".".join(parts[:n])))
