"""`runner_local.py doctor` as a user meets it: what is printed, for people and for programs, and with which exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.doctor import checks
from pipeline.doctor.findings import REPAIR, Finding, ok, problem, warning
from pipeline.doctor.report import Report, document
from pipeline.doctor.subject import Subject


def doctor(repository: Path, *arguments: object, program: str = "runner_local.py doctor", **environment: str):
    command = [sys.executable, *program.split(), *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GOOGLE_")}
    return subprocess.run(
        command, cwd=repository, env=kept | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.e2e
def test_this_machine_can_run_the_taxi_pipeline(repository: Path, tmp_path: Path) -> None:
    done = doctor(repository, "--config", "configs/taxi.yaml", "--root", tmp_path / "root")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == f"Looking at this machine (Python in {sys.prefix}), configs/taxi.yaml"
    assert any(line.startswith("ok       schema       taxi_schema.pbtxt fits all 15,002 rows") for line in lines)
    assert "Cure:" not in done.stdout
    assert lines[-1].startswith("0 problems, ")
    assert done.stderr == ""
    assert not (tmp_path / "root").exists()


@pytest.mark.e2e
def test_a_crashing_wheel_is_a_finding_and_keeps_from_what_would_crash_too(repository: Path, tmp_path: Path) -> None:
    """A TensorFlow that dies of an illegal instruction, no credentials: everything else is still looked at."""
    (tmp_path / "tensorflow.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    runtime = "configs/runtime/vertex.example.yaml"
    done = doctor(
        repository,
        *("--config", "configs/taxi.yaml", "--runtime", runtime, "--root", tmp_path / "root", "--json"),
        PYTHONPATH=str(tmp_path),
        CLOUDSDK_CONFIG=str(tmp_path / "none"),
        NO_GCE_CHECK="true",
    )
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert report["schema_version"] == 1
    assert report["status"] == "problem"
    states = {finding["check"]: finding["state"] for finding in report["findings"]}
    assert states["config"] == states["root"] == states["runtime"] == "ok"
    assert [check for check, state in states.items() if state == "problem"] == ["wheels", "credentials"]
    assert report["counts"]["problem"] == sum(finding["state"] == "problem" for finding in report["findings"])
    found = {(finding["found"], finding["cure"]) for finding in report["findings"]}
    wheel = "tensorflow does not load: the process ended with SIGILL"
    assert (wheel, "The processor lacks instructions that the wheel uses (see `processor`): run on another machine.") in found
    for check, cause in (("data", "wheels"), ("schema", "wheels"), ("space", "wheels"), ("bucket", "credentials")):
        expected = {
            "check": check,
            "state": "warning",
            "found": f"Not looked at: it takes what `{cause}` has a problem with.",
            "cure": f"See `{cause}` above.",
        }
        assert expected in report["findings"]


def test_a_python_without_any_package_is_told_what_is_amiss(repository: Path) -> None:
    """-S leaves site-packages out: not even rich or typer is there."""
    done = doctor(repository, program="-S -m pipeline.doctor")
    assert done.returncode == 2
    assert done.stdout.startswith("Looking at this machine (Python in ")
    assert f"problem  packages     TFX is not installed in this Python.\n{' ' * 22}Cure: {REPAIR}\n" in done.stdout
    modules = "numpy, pyarrow, ml_metadata, tensorflow, tfx_bsl, tensorflow_data_validation"
    assert f"problem  wheels       Not installed in {sys.base_prefix}: {modules}.\n{' ' * 22}Cure: {REPAIR}\n" in done.stdout
    assert "ok       glibc        " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    refused = doctor(repository, program="-S runner_local.py doctor")
    assert refused.returncode == 2
    assert refused.stderr == (
        "This Python lacks the packages. Use .venv/bin/python, which `make setup` makes.\n"
        "What else is amiss: python3 -m pipeline.doctor\n"
    )


def test_the_first_line_is_there_within_a_second(repository: Path) -> None:
    command = [sys.executable, "runner_local.py", "doctor"]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Looking at this machine")
        seconds = time.monotonic() - began
        lines = []
        while not (lines and lines[-1].startswith("         wheels       loading TensorFlow")):
            lines.append(process.stdout.readline())
        process.kill()
    assert lines[0].startswith("ok       interpreter")
    assert seconds < 3  # of which a machine that runs other tests too may take its share; alone it is 0.3


def test_without_room_for_temporary_files_it_still_reports(repository: Path, tmp_path: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from pathlib import Path; from pipeline.doctor import checks, diagnosing, subject\n"
        "checks.CHECKS = {'disk': checks.CHECKS['disk']}\n"
        f"sys.exit(diagnosing.diagnose(subject.Subject(root=Path({str(tmp_path)!r}))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "problem  disk         No folder for temporary files is writable.\n" in done.stdout
    assert done.stdout.endswith("3 problems, 0 warnings, 1 ok\n")


def test_a_check_that_fails_itself_is_a_problem_and_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()  # which no run leaves so
    (found,) = checks._make("root", checks.CHECKS["root"], Subject(root=tmp_path))
    assert (found.check, found.state) == ("root", "problem")
    assert found.found == f"It could not be checked: IsADirectoryError: [Errno 21] Is a directory: '{tmp_path}/.lock'"
    assert found.cure.startswith("The other checks are not touched by it.")


def test_findings_are_shown_with_their_cure_right_below() -> None:
    stream = io.StringIO()
    report = Report(stream)
    findings = [ok("glibc", "fine"), warning("memory", "tight", "Buy some."), problem("config", "one\ntwo", "Mend it.")]
    for finding in findings:
        report.add(finding)
    report.close(findings)
    assert stream.getvalue() == (
        "ok       glibc        fine\n"
        "warning  memory       tight\n"
        "                      Cure: Buy some.\n"
        "problem  config       one\n"
        "                      two\n"
        "                      Cure: Mend it.\n"
        "1 problem, 1 warning, 1 ok\n"
    )


def test_the_document_for_programs() -> None:
    assert json.loads(document([ok("glibc", "fine"), warning("memory", "tight", "Buy some.")])) == {
        "schema_version": 1,
        "status": "ok",
        "counts": {"ok": 1, "warning": 1, "problem": 0},
        "findings": [
            {"check": "glibc", "state": "ok", "found": "fine", "cure": None},
            {"check": "memory", "state": "warning", "found": "tight", "cure": "Buy some."},
        ],
    }
    assert json.loads(document([Finding("a", "problem", "b", "c")]))["status"] == "problem"


def test_every_check_yields_findings_of_its_own_name(tmp_path: Path, repository: Path) -> None:
    """Those of a machine alone: a check that said nothing, or in another's name, would hide what it found."""
    quick = [name for name, check in checks.CHECKS.items() if check.given is None and name != "wheels"]
    assert quick == ["interpreter", "processor", "glibc", "packages", "memory", "disk", "root"]
    for name in quick:
        found = [*checks.CHECKS[name].look(Subject(root=tmp_path / "root"))]
        assert {finding.check for finding in found} == {name}
        assert {finding.state for finding in found} <= {"ok", "warning"}, found
