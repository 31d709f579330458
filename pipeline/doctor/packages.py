"""The installed packages against the lock file, by what their metadata says: nothing is imported."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.doctor.findings import REPAIR, Finding, ok, problem, warning
from pipeline.doctor.generations import generation_of_python, generation_of_tfx

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

# What the code imports, or what decides whether the native parts of TFX fit together. Others are told of, and may do.
CORE = frozenset(
    {
        "apache-beam",
        "dill",
        "google-auth",
        "google-cloud-aiplatform",
        "google-crc32c",
        "ipykernel",
        "keras",
        "keras-tuner",
        "kfp",
        "kfp-pipeline-spec",
        "ml-metadata",
        "ml-pipelines-sdk",
        "numpy",
        "protobuf",
        "psutil",
        "pyarrow",
        "pydantic",
        "pydantic-core",
        "pyyaml",
        "rich",
        "scipy",
        "setuptools",
        "tensorboard",
        "tensorflow",
        "tensorflow-data-validation",
        "tensorflow-metadata",
        "tensorflow-model-analysis",
        "tensorflow-model-optimization",
        "tensorflow-transform",
        "tf-keras",
        "tfx",
        "tfx-bsl",
        "typer",
    }
)
_NUM_SHOWN = 12


def check_packages(subject: Subject) -> Iterator[Finding]:
    """Compare what is installed with the lock file of its generation."""
    found = installed()
    generation = generation_of_tfx(found["tfx"]) if "tfx" in found else generation_of_python(sys.version_info[:2])
    lock_file = subject.project / generation.lock_file if generation else None
    yield from judge_packages(found, lock_file if lock_file and lock_file.exists() else None)


def installed() -> dict[str, str]:
    """Return {name, normalized: version} of every package that this Python finds."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # what is left of a package that was removed halfway has none
            found.setdefault(normalized(name), distribution.version)  # the first on the path is what gets imported
    return found


def normalized(name: str) -> str:
    """Return a package's name as lock files spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, str]:
    """Return {name, normalized: version} of a lock file's text, of what is for this Python on this system."""
    from packaging.markers import Marker

    pinned = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]+))?", text, re.MULTILINE)
    return {normalized(name): version for name, version, marker in pinned if not marker or Marker(marker).evaluate()}


def judge_packages(found: Mapping[str, str], lock_file: Path | None) -> Iterator[Finding]:
    """Say which packages differ from a lock file.

    Args:
      found: {name: version} of what is installed.
      lock_file: None where TFX, if there is one, is of a generation without.
    """
    if "tfx" not in found:
        yield problem("packages", "TFX is not installed in this Python.", REPAIR)
        return
    lacks_dill = "dill" not in found and found.get("tfx-bsl", "").startswith("1.16.")
    if lacks_dill:
        yield _lack_of_dill(found)
    title = ", ".join(f"{name} {found[name]}" for name in ("tfx", "tensorflow", "tf-keras", "apache-beam") if name in found)
    if lock_file is None:
        yield warning("packages", f"{title}: there is no lock file for it here to compare with.", REPAIR)
        yield from _judge_requirements(found)
        return
    locked = read_lock(lock_file.read_text("utf-8"))
    other = [name for name, version in locked.items() if found.get(name) != version]
    if not other:
        yield ok("packages", f"{title}; all {len(locked)} packages as in {lock_file.name}")
    if core := [name for name in other if name in CORE and not (lacks_dill and name == "dill")]:
        yield problem("packages", _difference(core, found, locked, lock_file.name), REPAIR)
    if rest := [name for name in other if name not in CORE]:
        yield warning("packages", _difference(rest, found, locked, lock_file.name), REPAIR)


def _difference(names: list[str], found: Mapping[str, str], locked: Mapping[str, str], lock_name: str) -> str:
    sentences = [f"{name} {found.get(name, 'is missing')}, locked {locked[name]}" for name in names]
    return f"{len(names)} of {len(locked)} packages differ from {lock_name}: {'; '.join(sentences)}."


def _lack_of_dill(found: Mapping[str, str]) -> Finding:
    beam = found.get("apache-beam", "(none)")
    what = f"dill is missing, which tfx_bsl {found['tfx-bsl']} imports. Beam brings it, but only up to 2.65; here is {beam}."
    return problem("packages", what, REPAIR)


def _judge_requirements(found: Mapping[str, str]) -> Iterator[Finding]:
    """Compare the core packages with what each asks of the others."""
    from packaging.requirements import Requirement

    wrong = []
    for name in sorted(CORE & found.keys()):
        for text in importlib.metadata.requires(name) or ():
            asked = Requirement(text)
            other = normalized(asked.name)
            if other not in CORE or (asked.marker and not asked.marker.evaluate({"extra": ""})):
                continue
            if not asked.specifier.contains(found.get(other, "0"), prereleases=True):
                wrong.append(f"{name} {found[name]} asks for {other}{asked.specifier}, found {found.get(other, 'none')}")
    if wrong:
        yield problem("packages", f"Packages that do not fit together: {'; '.join(wrong[:_NUM_SHOWN])}.", REPAIR)
