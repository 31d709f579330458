"""Whether the native wheels load: in a process of their own, since one that does not fit may end its process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.doctor.findings import REINSTALL, REPAIR, Finding, ok, problem

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

# Of tfx_bsl the part that has native code: the package itself imports none of it.
MODULES = ("numpy", "pyarrow", "ml_metadata", "tensorflow", "tfx_bsl.coders.example_coder", "tensorflow_data_validation")
TIME_LIMIT_SECONDS = 180.0
_NUM_SHOWN = 600  # characters of an error; TensorFlow spells whole tracebacks

_PROGRAM = """
import importlib, json, os, sys
sys.path[:] = json.loads(sys.argv[1])
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
for name in sys.argv[2:]:
    print(json.dumps({"module": name}), file=answers)
    try:
        importlib.import_module(name)
        print(json.dumps({"module": name, "error": None}), file=answers)
    except BaseException as error:
        print(json.dumps({"module": name, "error": f"{type(error).__name__}: {error}"}), file=answers)
"""


@dataclass(frozen=True)
class Loading:
    """How importing a module went: error is None if well."""

    module: str
    error: str | None

    @property
    def is_absent(self) -> bool:
        return self.error == f"ModuleNotFoundError: No module named '{self.package}'"

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def check_wheels(subject: Subject) -> Iterator[Finding]:
    """Import every native wheel."""
    began = time.monotonic()
    loadings = load(MODULES)
    absent = [loading.package for loading in loadings if loading.is_absent]
    if absent:
        yield problem("wheels", f"Not installed in {sys.prefix}: {', '.join(absent)}.", REPAIR)
    for loading in loadings:
        if loading.error and not loading.is_absent:
            yield problem("wheels", f"{loading.package} does not load: {_shortened(loading.error)}", cure_of(loading.error))
    if not any(loading.error for loading in loadings):
        yield ok("wheels", f"{', '.join(loading.package for loading in loadings)} load ({time.monotonic() - began:.0f} s)")


def load(modules: Sequence[str], limit_seconds: float = TIME_LIMIT_SECONDS) -> list[Loading]:
    """Import modules in a process of their own; after a crash the rest in another one.

    Args:
      modules: importable names.
      limit_seconds: for each such process.
    """
    loadings: list[Loading] = []
    while len(loadings) < len(modules):
        loadings += _load_until_crash(modules[len(loadings) :], limit_seconds)
    return loadings


def _load_until_crash(modules: Sequence[str], limit_seconds: float) -> list[Loading]:
    """Return how it went with the modules up to the one that ended the process: with one of them, at least."""
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, json.dumps(sys.path), *modules]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            said, complaints = process.communicate(timeout=limit_seconds)
            end = _end_of(process.returncode, complaints.decode("utf-8", "replace"))
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            end = f"still loading after {limit_seconds:.0f} s"
    answers = [json.loads(line) for line in said.decode().splitlines()]
    done = [Loading(answer["module"], answer["error"]) for answer in answers if "error" in answer]
    return done if len(done) == len(modules) else [*done, Loading(modules[len(done)], end)]


def _end_of(code: int, complaints: str) -> str:
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the process ended with {name}" + (f": {complaints.strip()}" if complaints.strip() else "")


def _shortened(error: str) -> str:
    text = " ".join(error.split())
    return text if len(text) <= _NUM_SHOWN else f"{text[: _NUM_SHOWN // 2]} ... {text[-_NUM_SHOWN // 2 :]}"


def cure_of(error: str) -> str:
    """Return what helps against an error of loading a native module."""
    if wanted := re.search(r"version `(GLIBC_[\d.]+)' not found", error):
        return (
            f"The wheel is built for a newer system ({wanted[1]}). Run `make -B setup`: it installs TFX 1.16 for Python 3.10, "
            "whose wheels load on older ones too. Or use a system with that glibc."
        )
    if "GLIBCXX_" in error or "CXXABI_" in error:
        return "Another, older libstdc++ comes first: unset LD_LIBRARY_PATH, or update libstdc++6."
    if "SIGILL" in error:
        return "The processor lacks instructions that the wheel uses (see `processor`): run on another machine."
    if "SIGKILL" in error:
        return "The kernel ended it, most likely for want of memory: see `memory`."
    if "still loading" in error:
        return "The disk, or the machine, is too slow or busy: try again; keep .venv on a local disk."
    return REPAIR if error.startswith("ModuleNotFoundError") else REINSTALL
