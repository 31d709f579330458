"""What builds, pushes and starts the image and what compares jobs, with stand-ins for docker and the compiler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DIGEST = "sha256:" + "ab" * 32
FAKE_DOCKER = f"""#!/bin/sh
echo "$@" >> "$DOCKER_LOG"
case "$1 $2" in "image inspect") echo other/name@sha256:00; echo registry/name@{DIGEST} ;; esac
"""


def bash(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", script, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | environment)


@pytest.fixture(name="docker")
def _docker(tmp_path):
    """Environment with a docker that writes down what it is asked."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(FAKE_DOCKER)
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "DOCKER_LOG": str(tmp_path / "log")}


@pytest.mark.parametrize(("generation", "base"), [("1.21", None), ("1.16", "python:3.10-bookworm")])
def test_build_tags_by_source_and_says_how_to_push(repository, docker, generation, base):
    done = bash(repository / "tools/image.sh", "build", "host:5000/name", "source-0123456789ab", "gpu", generation, **docker)
    assert done.returncode == 0, done.stderr
    (build,) = [line for line in Path(docker["DOCKER_LOG"]).read_text().splitlines() if line.startswith("build ")]
    assert "--tag host:5000/name:source-0123456789ab-gpu" in build
    assert "--build-arg ACCELERATOR=gpu" in build
    # The Dockerfile's own values are 1.21's.
    given = dict(each.split("=", 1) for each in re.findall(r"--build-arg (\S+=\S+)", build))
    assert given.get("BUILDER_IMAGE") == base
    if base:
        locked = re.search(r"^apache-beam==(\S+)", (repository / "requirements/tfx-1.16.txt").read_text(), re.M)[1]
        assert given["BEAM_IMAGE"] == f"apache/beam_python3.10_sdk:{locked}"
        assert (given["PYTHON_IMAGE"], given["PYTHON_VERSION"]) == ("python:3.10-slim-bookworm", "3.10")
        assert given["TFX_GENERATION"] == "1.16"
    assert done.stdout.splitlines()[-1] == "push it: make push IMAGE=host:5000/name ACCELERATOR=gpu"


def test_push_prints_the_digest_and_nothing_else(repository, docker):
    done = bash(repository / "tools/image.sh", "push", "registry/name", "source-0123456789ab", "cpu", "1.21", **docker)
    assert (done.returncode, done.stdout) == (0, f"registry/name@{DIGEST}\n")
    assert "push registry/name:source-0123456789ab" in Path(docker["DOCKER_LOG"]).read_text().splitlines()


def test_push_without_a_digest_fails(repository, docker):
    done = bash(repository / "tools/image.sh", "push", "registry/another", "tag", "cpu", "1.21", **docker)
    assert done.returncode == 2
    assert done.stderr.strip() == "docker knows no digest of registry/another:tag after the push."


@pytest.mark.parametrize("name", ["", "registry/name:v1", f"registry/name@{DIGEST}"])
def test_an_image_that_is_not_a_plain_name_is_refused(name, repository, docker):
    done = bash(repository / "tools/image.sh", "build", name, "tag", "cpu", "1.21", **docker)
    assert done.returncode == 2
    assert f"IMAGE is '{name}'. Expected a name without tag or digest, such as IMAGE=" in done.stderr


def test_without_docker_there_is_one_sentence(repository, tmp_path):
    for program in ("bash", "dirname"):
        (tmp_path / program).symlink_to(f"/bin/{program}" if Path(f"/bin/{program}").exists() else f"/usr/bin/{program}")
    done = bash(repository / "tools/image.sh", "build", "registry/name", "tag", "cpu", "1.21", PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        "docker is not installed. Install Docker Engine with buildx, or let Cloud Build do it: docs/ci_cd.md.\n"
    )


@pytest.mark.parametrize(
    ("accelerator", "sentence"),
    [
        ("tpu", "ACCELERATOR=tpu cannot be built: no tensorflow-tpu for the TensorFlow of TFX 1.21 can be installed"),
        ("cuda", "ACCELERATOR is 'cuda'. Expected cpu or gpu."),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_installed(accelerator, sentence, repository, tmp_path):
    done = bash(repository / "deploy/container/install.sh", accelerator, sys.executable, str(tmp_path / "venv"), "1.21")
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert list(tmp_path.iterdir()) == []


def test_entry_point_gives_flags_to_beam_and_runs_everything_else(repository, tmp_path):
    boot = tmp_path / "boot"
    boot.write_text('#!/bin/sh\necho "boot $@"\n')
    boot.chmod(0o755)
    entrypoint = repository / "deploy/container/entrypoint.sh"
    started = ["--id=1-1", "--logging_endpoint=localhost:1"]
    assert bash(entrypoint, *started, BEAM_BOOT=str(boot)).stdout == f"boot {' '.join(started)}\n"
    assert bash(entrypoint, "echo", "a b", BEAM_BOOT=str(boot)).stdout == "a b\n"
    assert bash(entrypoint, "sh", "-c", "exit 7", BEAM_BOOT=str(boot)).returncode == 7


def test_a_digest_takes_the_place_of_the_runtime_files_image(repository, tmp_path):
    from pipeline.vertex.runtime import load_runtime

    example, output = repository / "configs/runtime/vertex.example.yaml", tmp_path / "build/runtime.yaml"
    done = bash(repository / "tools/set_image.sh", str(example), f"registry/name@{DIGEST}", str(output))
    assert done.returncode == 0, done.stderr
    assert load_runtime(output) == load_runtime(example).model_copy(update={"image": f"registry/name@{DIGEST}"})


@pytest.mark.parametrize("image", ["registry/name:v1", "registry/name@sha256:12", f"a|b@{DIGEST}"])
def test_only_a_digest_will_do(image, repository, tmp_path):
    example = repository / "configs/runtime/vertex.example.yaml"
    done = bash(repository / "tools/set_image.sh", str(example), image, str(tmp_path / "out.yaml"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"IMAGE is '{image}'. Expected a digest")
    assert not (tmp_path / "out.yaml").exists()


def test_compared_jobs_tell_each_change_once_also_inside_json_strings(repository, tmp_path):
    def job(digest: str, machine: str, **more: str) -> dict[str, object]:
        tasks = [{"name": name, "config": json.dumps({"code": digest, "units": 3})} for name in "abcd"]
        return {"tasks": tasks, "machine": machine, **more}

    for name, content in (("old", job("1", "n1")), ("new", job("2", "n2", labels="x"))):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    command = [sys.executable, repository / "tools/compare_jobs.py"]
    done = subprocess.run([*command, "old.json", "new.json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        'labels: nothing -> "x"',
        'machine: "n1" -> "n2"',
        'tasks[0].config.code, tasks[1].config.code, tasks[2].config.code and 1 more: "1" -> "2"',
    ]
    same = subprocess.run([*command, "old.json", "old.json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert same.stdout == "the compiled job is the same\n"


@pytest.mark.parametrize(("content", "code"), [("always the same", 0), ("$PYTHONHASHSEED", 1)])
def test_a_job_that_depends_on_the_hash_seed_fails_the_check(content, code, repository, tmp_path):
    compiler = tmp_path / "python"
    compiler.write_text(f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done; echo "{content}" > "$2"\n')
    compiler.chmod(0o755)
    check = repository / "tools/compile_check.sh"
    done = bash(check, str(compiler), "configs/taxi.yaml", "configs/runtime/vertex.example.yaml")
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.splitlines()[-1].startswith("configs/taxi.yaml compiles to other bytes the second time")
    else:
        assert done.stdout == "configs/taxi.yaml: twice the same 16 bytes\n"
