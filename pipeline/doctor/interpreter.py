"""The Python, the processor and the C library that TFX's native wheels are built for."""

from __future__ import annotations

import os
import platform
import struct
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.doctor.findings import Finding, ok, problem, warning
from pipeline.doctor.generations import GENERATIONS, Generation, generation_of_python

if TYPE_CHECKING:
    from pipeline.doctor.subject import Subject

_CPU_INFO = Path("/proc/cpuinfo")
_FIRST = GENERATIONS[0]
_OTHER_PYTHON = "Run `make setup`: it finds or downloads a Python that fits and makes .venv with it; then use .venv/bin/python."


@dataclass(frozen=True)
class Interpreter:
    """What may run this program; glibc is "" where there is none."""

    version: tuple[int, int, int]
    implementation: str
    bits: int
    system: str
    machine: str
    prefix: str
    glibc: str


def this_interpreter() -> Interpreter:
    """Return what does run this program."""
    return Interpreter(
        version=sys.version_info[:3],
        implementation=platform.python_implementation(),
        bits=8 * struct.calcsize("P"),
        system=platform.system(),
        machine=platform.machine(),
        prefix=sys.prefix,
        glibc=_glibc(),
    )


def check_interpreter(subject: Subject) -> Iterator[Finding]:
    """Compare this Python with what the generations of TFX are built for."""
    yield from judge_interpreter(this_interpreter(), subject.project)


def check_processor(subject: Subject) -> Iterator[Finding]:
    """Look for the instructions that TensorFlow's wheels use without asking."""
    yield from judge_processor(platform.machine(), _CPU_INFO.read_text("utf-8") if _CPU_INFO.exists() else "")


def check_glibc(subject: Subject) -> Iterator[Finding]:
    """Compare the C library with what the wheels of the generations are linked with."""
    yield judge_glibc(this_interpreter())


def judge_interpreter(python: Interpreter, project: Path) -> Iterator[Finding]:
    """Say whether TFX has wheels for a Python, and whether it is the project's own."""
    name = f"{python.implementation} {'.'.join(map(str, python.version))}, {python.bits}-bit, {python.system} {python.machine}"
    generation = generation_of_python(python.version[:2])
    if python.implementation != "CPython" or python.bits != 64 or generation is None:
        wanted = " or ".join(f"{one.python[0]}.{one.python[1]} ({one.name})" for one in GENERATIONS)
        yield problem("interpreter", f"{name}: TFX has no wheels for it. Expected 64-bit CPython {wanted}.", _OTHER_PYTHON)
    elif not _has_wheels(python, generation):
        yield problem(
            "interpreter",
            f"{name}: {generation.name} has no wheels for this machine.",
            "Use Linux on x86-64 (a container or a virtual machine will do); TFX 1.21 also has wheels for macOS on arm64.",
        )
    else:
        yield ok("interpreter", f"{name}, for {generation.name}")
    yield _judge_place(python, project)


def _judge_place(python: Interpreter, project: Path) -> Finding:
    own = project / ".venv"
    if os.path.realpath(own) == os.path.realpath(python.prefix):
        return ok("interpreter", "the project's own .venv")
    if own.exists():
        return warning(
            "interpreter",
            f"{python.prefix} is not the project's .venv: its packages are not those of the lock file.",
            "Run .venv/bin/python instead.",
        )
    # A container has its packages elsewhere, from the same lock file: the check of packages compares them.
    return ok("interpreter", f"packages in {python.prefix}; the project has no .venv")


def _has_wheels(python: Interpreter, generation: Generation) -> bool:
    if (python.system, python.machine) == ("Linux", "x86_64"):
        return True
    return (python.system, python.machine) == ("Darwin", "arm64") and generation.glibc >= (2, 39)


def judge_processor(machine: str, cpu_info: str) -> Iterator[Finding]:
    """Say whether TensorFlow's wheels can run on a processor.

    Args:
      machine: as of `platform.machine()`.
      cpu_info: content of /proc/cpuinfo; empty where there is none, and nothing is said.
    """
    flags = _flags(cpu_info)
    if machine != "x86_64" or not flags:
        return
    if "avx" in flags:
        yield ok("processor", "has AVX" + (", AVX2 and FMA" if {"avx2", "fma"} <= set(flags) else ""))
        return
    yield problem(
        "processor",
        "The processor has no AVX, or hides it; TensorFlow's wheels end with 'illegal instruction' there.",
        "Run on a processor of 2011 or later; of a virtual machine, pass the host's CPU model through (QEMU: `-cpu host`).",
    )


def _flags(cpu_info: str) -> Collection[str]:
    return next((line.partition(":")[2].split() for line in cpu_info.splitlines() if line.startswith("flags")), [])


def judge_glibc(python: Interpreter) -> Finding:
    """Say which generations a C library allows, and whether this Python's is one of them."""
    if python.system != "Linux":
        return ok("glibc", f"not asked for on {python.system}")
    if not python.glibc:
        return problem(
            "glibc",
            "The C library is not glibc; TFX has no wheels for another (Alpine's musl, for one).",
            "Use Debian, Ubuntu or another system with glibc; as a container image, python:3.10-slim instead of -alpine.",
        )
    version = tuple(int(part) for part in python.glibc.split(".")[:2])
    allowed = [generation.name for generation in GENERATIONS if version >= generation.glibc]
    generation = generation_of_python(python.version[:2])
    if not allowed or (generation and version < generation.glibc):
        needed = generation or _FIRST
        oldest = ".".join(map(str, needed.glibc))
        cure = "Use a newer system." if not allowed else f"{_OTHER_PYTHON} That is {allowed[0]}, which this glibc allows."
        return problem("glibc", f"glibc {python.glibc}; the wheels of {needed.name} need {oldest} or newer.", cure)
    newer = next((one for one in GENERATIONS if version < one.glibc), None)
    more = f"; {newer.name} would need {'.'.join(map(str, newer.glibc))}" if newer else ""
    return ok("glibc", f"glibc {python.glibc} allows {' and '.join(allowed)}{more}")


def _glibc() -> str:
    """Return the version of glibc that this process has loaded; "" if none."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return ""
    return version if name == "glibc" else ""
