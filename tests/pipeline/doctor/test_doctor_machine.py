"""What the doctor says of interpreters, processors, packages and wheels."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from pipeline.doctor.findings import REINSTALL, REPAIR, Finding
from pipeline.doctor.generations import GENERATIONS, generation_of_python
from pipeline.doctor.interpreter import Interpreter, judge_glibc, judge_interpreter, judge_processor, this_interpreter
from pipeline.doctor.packages import CORE, installed, judge_packages, read_lock
from pipeline.doctor.wheels import cure_of, load

OTHER_PYTHON = "Run `make setup`: it finds or downloads a Python that fits and makes .venv with it; then use .venv/bin/python."
# The one that these tests run on.
HERE = generation_of_python(sys.version_info[:2]) or GENERATIONS[0]
GOOD = Interpreter((3, 10, 13), "CPython", 64, "Linux", "x86_64", "/project/.venv", "2.36")


def interpreter(**changes: object) -> Finding:
    return next(judge_interpreter(dataclasses.replace(GOOD, **changes), Path("/project")))


def glibc(**changes: object) -> Finding:
    return judge_glibc(dataclasses.replace(GOOD, **changes))


def test_setup_py_installs_the_generations_that_the_doctor_knows(repository: Path) -> None:
    setup = (repository / "setup.py").read_text()
    for generation, marker in zip(GENERATIONS, ("TFX_1_16", "TFX_1_21"), strict=True):
        assert f'"tfx[kfp]=={generation.tfx}; {{{marker}}}"' in setup
        assert f"tfx=={generation.tfx} " in (repository / generation.lock_file).read_text()


def test_this_interpreter_runs_the_locked_generation(repository: Path) -> None:
    found = [*judge_interpreter(this_interpreter(), repository)]
    assert [finding.state for finding in found] == ["ok", "ok"]
    assert found[0].found.endswith(f"64-bit, Linux x86_64, for {HERE.name}")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"version": (3, 12, 1)}, "CPython 3.12.1, 64-bit"),
        ({"implementation": "PyPy"}, "PyPy 3.10.13, 64-bit"),
        ({"bits": 32}, "CPython 3.10.13, 32-bit"),
    ],
)
def test_a_python_without_wheels_is_a_problem(changes: dict[str, object], what: str) -> None:
    expected = f"{what}, Linux x86_64: TFX has no wheels for it. Expected 64-bit CPython 3.10 (TFX 1.16) or 3.11 (TFX 1.21)."
    assert interpreter(**changes) == Finding("interpreter", "problem", expected, OTHER_PYTHON)


def test_a_machine_without_wheels_is_a_problem() -> None:
    found = interpreter(machine="aarch64")
    assert found.state == "problem"
    assert found.found == "CPython 3.10.13, 64-bit, Linux aarch64: TFX 1.16 has no wheels for this machine."
    assert found.cure.startswith("Use Linux on x86-64")
    assert interpreter(system="Darwin", machine="arm64").state == "problem"
    assert interpreter(system="Darwin", machine="arm64", version=(3, 11, 7)).state == "ok"  # 1.21 has such wheels


def test_a_python_beside_the_projects_own_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    _, place = judge_interpreter(dataclasses.replace(GOOD, prefix="/usr"), tmp_path)
    expected = "/usr is not the project's .venv: its packages are not those of the lock file."
    assert place == Finding("interpreter", "warning", expected, "Run .venv/bin/python instead.")


def test_a_container_needs_no_venv(tmp_path: Path) -> None:
    _, place = judge_interpreter(dataclasses.replace(GOOD, prefix="/opt/venv"), tmp_path)
    assert place == Finding("interpreter", "ok", "packages in /opt/venv; the project has no .venv")


def test_a_processor_without_avx_is_a_problem() -> None:
    (found,) = judge_processor("x86_64", "processor\t: 0\nflags\t\t: fpu sse4_2 popcnt\n")
    assert found.state == "problem"
    assert found.found == "The processor has no AVX, or hides it; TensorFlow's wheels end with 'illegal instruction' there."
    assert "`-cpu host`" in found.cure
    assert [*judge_processor("x86_64", "flags : fpu avx avx2 fma")] == [Finding("processor", "ok", "has AVX, AVX2 and FMA")]
    assert [*judge_processor("arm64", "")] == []


def test_glibc_says_which_generations_it_allows() -> None:
    assert glibc() == Finding("glibc", "ok", "glibc 2.36 allows TFX 1.16; TFX 1.21 would need 2.39")
    assert glibc(glibc="2.41") == Finding("glibc", "ok", "glibc 2.41 allows TFX 1.16 and TFX 1.21")


def test_a_glibc_too_old_for_the_pythons_generation_is_a_problem() -> None:
    found = glibc(version=(3, 11, 7))
    assert found.found == "glibc 2.36; the wheels of TFX 1.21 need 2.39 or newer."
    assert (found.state, found.cure) == ("problem", f"{OTHER_PYTHON} That is TFX 1.16, which this glibc allows.")
    assert glibc(glibc="2.12") == Finding(
        "glibc", "problem", "glibc 2.12; the wheels of TFX 1.16 need 2.17 or newer.", "Use a newer system."
    )


def test_another_c_library_is_a_problem() -> None:
    found = glibc(glibc="")
    assert (found.state, found.found.partition(";")[0]) == ("problem", "The C library is not glibc")
    assert "python:3.10-slim instead of -alpine" in found.cure


def test_installed_packages_are_those_of_the_lock_file(repository: Path) -> None:
    lock_file = repository / HERE.lock_file
    (found,) = judge_packages(installed(), lock_file)
    assert found.state == "ok", found.found
    locked = read_lock(lock_file.read_text())
    assert found.found.endswith(f"all {len(locked)} packages as in {lock_file.name}")
    assert set(locked) >= CORE


def test_packages_of_other_systems_and_pythons_do_not_count() -> None:
    text = """
here==1.0 ; sys_platform == 'linux' \\
    --hash=sha256:0
there==1.0 ; sys_platform == 'win32' \\
both==1.0 ; python_full_version < '3.8' \\
both==2.0 ; python_full_version >= '3.8' \\
all[extra]==3.0 \\
"""
    assert read_lock(text) == {"here": "1.0", "both": "2.0", "all": "3.0"}


def test_packages_that_differ_from_a_tampered_lock_are_named_with_both_versions(repository: Path, tmp_path: Path) -> None:
    text = (repository / HERE.lock_file).read_text()
    have = read_lock(text)
    for name, after in (("numpy", "1.0.1"), ("pyarrow", "9.9.9"), ("pytest", f"0.{have['pytest']}")):
        before = f"\n{name}=={have[name]}"
        assert text.count(before) == 1
        text = text.replace(before, f"\n{name}=={after}")
    (tmp_path / "lock.txt").write_text(text + "no-such-package==1.0\n")
    number = len(have) + 1
    core, rest = judge_packages(installed(), tmp_path / "lock.txt")
    assert core == Finding(
        "packages",
        "problem",
        f"2 of {number} packages differ from lock.txt: numpy {have['numpy']}, locked 1.0.1; "
        f"pyarrow {have['pyarrow']}, locked 9.9.9.",
        REPAIR,
    )
    assert (rest.state, rest.cure) == ("warning", REPAIR)
    assert rest.found.startswith(f"2 of {number} packages differ from lock.txt: pytest ")
    assert rest.found.endswith("; no-such-package is missing, locked 1.0.")


def test_missing_tfx_and_missing_dill_are_problems(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("tfx==1.16.0\ndill==0.3.1.1\n")
    assert [*judge_packages({}, tmp_path / "lock.txt")] == [
        Finding("packages", "problem", "TFX is not installed in this Python.", REPAIR)
    ]
    (dill,) = judge_packages({"tfx": "1.16.0", "tfx-bsl": "1.16.1", "apache-beam": "2.70.0"}, tmp_path / "lock.txt")
    assert dill.state == "problem"
    assert dill.found == ("dill is missing, which tfx_bsl 1.16.1 imports. Beam brings it, but only up to 2.65; here is 2.70.0.")


def test_without_a_lock_file_core_packages_are_held_to_what_they_ask_for() -> None:
    """As where only TFX's wheel is there, without this project; those installed here do fit together."""
    (found,) = judge_packages(installed(), None)
    assert (found.state, found.cure) == ("warning", REPAIR)
    assert found.found.endswith(": there is no lock file for it here to compare with.")
    _, wrong = judge_packages(installed() | {"numpy": "1.15.0"}, None)
    assert (wrong.state, wrong.cure) == ("problem", REPAIR)
    assert wrong.found.startswith("Packages that do not fit together: ")
    assert re.search(r"; tfx [\d.]+ asks for numpy\S+, found 1\.15\.0", wrong.found)


def test_wheels_that_crash_hang_or_do_not_fit_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {
        "fits": "",
        "illegal": "import os, signal; os.write(2, b'gone wrong'); os.kill(os.getpid(), signal.SIGILL)",
        "leaves": "import os; os._exit(3)",
        "newer": """raise ImportError("libm.so.6: version `GLIBC_2.38' not found (required by x.so)")""",
    }
    for name, text in contents.items():
        (tmp_path / f"doctor_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    loadings = load([f"doctor_{name}" for name in ("illegal", "leaves", "newer", "absent", "fits")])
    assert [(loading.module.removeprefix("doctor_"), loading.error) for loading in loadings] == [
        ("illegal", "the process ended with SIGILL: gone wrong"),
        ("leaves", "the process ended with exit code 3"),
        ("newer", "ImportError: libm.so.6: version `GLIBC_2.38' not found (required by x.so)"),
        ("absent", "ModuleNotFoundError: No module named 'doctor_absent'"),
        ("fits", None),
    ]
    cures = [cure_of(loading.error) for loading in loadings if loading.error]
    assert cures[0].startswith("The processor lacks instructions")
    assert cures[1] == REINSTALL
    assert cures[2].startswith("The wheel is built for a newer system (GLIBC_2.38).")
    assert cures[3] == REPAIR
    assert [loading.is_absent for loading in loadings] == [False, False, False, True, False]


def test_a_wheel_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doctor_hangs.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    first, second = load(["doctor_hangs", "json"], limit_seconds=1.0)
    assert (first.error, second.error) == ("still loading after 1 s", None)
    assert cure_of("still loading after 1 s").startswith("The disk, or the machine, is too slow")
