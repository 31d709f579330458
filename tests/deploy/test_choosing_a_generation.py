"""Which generation of TFX a machine gets, said in one line; what cannot be had, in one sentence."""

from __future__ import annotations

import subprocess

import pytest


def choose(repository, asked="", system="Linux", machine="x86_64", glibc="2.36"):
    command = ["bash", repository / "tools/choose_generation.sh", asked, system, machine, glibc]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("asked", "machine", "said"),
    [
        ("", {}, "1.16 3.10 glibc 2.36, 1.21 needs 2.39"),
        ("", {"glibc": "2.39"}, "1.21 3.11 glibc 2.39"),
        ("", {"glibc": "2.41"}, "1.21 3.11 glibc 2.41"),
        ("", {"glibc": "2.9"}, "1.16 3.10 glibc 2.9, 1.21 needs 2.39"),
        ("1.16", {"glibc": "2.41"}, "1.16 3.10 asked for; glibc 2.41"),
        ("", {"system": "Darwin", "machine": "arm64", "glibc": ""}, "1.21 3.11 macOS on arm64"),
    ],
)
def test_machine_decides_unless_one_is_asked_for(repository, asked, machine, said):
    done = choose(repository, asked, **machine)
    assert (done.returncode, done.stdout) == (0, f"{said}\n")


@pytest.mark.parametrize(
    ("asked", "machine", "said"),
    [
        ("1.21", {}, "TFX 1.21's wheels need glibc 2.39, this machine has 2.36."),
        ("1.16", {"system": "Darwin", "machine": "arm64", "glibc": ""}, "TFX 1.16 has no wheels for macOS on arm64"),
        ("", {"machine": "aarch64"}, "TFX has no wheels for Linux on aarch64."),
        ("", {"glibc": ""}, "TFX's wheels need GNU's C library"),
        ("1.20", {}, "TFX_GENERATION is '1.20'. Expected 1.16 or 1.21"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(repository, asked, machine, said):
    done = choose(repository, asked, **machine)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_make_says_it_where_it_sets_up_and_help_works_all_the_same(repository):
    environment = {"PATH": "/usr/bin:/bin", "TFX_GENERATION": "1.20"}
    done = subprocess.run(["make", "setup"], cwd=repository, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "TFX_GENERATION is '1.20'." in done.stderr
    assert "set-up: installing" not in done.stdout
    assert subprocess.run(["make", "help"], cwd=repository, env=environment, check=False, capture_output=True).returncode == 0
