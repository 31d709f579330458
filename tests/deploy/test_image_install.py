"""The image's own steps, without docker: its packages into a clean environment, its files beside them, its command run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import copied, stages

from pipeline.code_digest import project_digest


@pytest.fixture(scope="module", name="image")
def _image(repository, tmp_path_factory, current):
    """A folder with `venv` and `app`, as the last stage of the Dockerfile lays them out."""
    root = tmp_path_factory.mktemp("image")
    shutil.copytree(repository / "requirements", root / "build/requirements")
    generation = "1.21" if current else "1.16"
    script, python = repository / "deploy/container/install.sh", os.path.realpath(sys.executable)
    install = ["bash", script, "cpu", python, root / "venv", generation]
    subprocess.run(install, cwd=root / "build", env=_outside(os.environ), check=True)
    for source, target in copied(stages(repository / "Dockerfile")[-1]):
        if not target.startswith("/"):
            place = root / "app" / (target if source.endswith("/") else source)
            copy = shutil.copytree if source.endswith("/") else shutil.copy
            place.parent.mkdir(parents=True, exist_ok=True)
            copy(repository / source, place)
    yield root
    shutil.rmtree(root)  # three gigabytes


def _outside(environment) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def _run(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a container would: nothing of this checkout or of its environment is in reach."""
    environment = {"PATH": f"{image / 'venv/bin'}:/usr/bin:/bin", "PYTHONPATH": str(image / "app"), "HOME": str(image)}
    return subprocess.run(command, cwd=image, env=environment, check=False, capture_output=True, text=True)


@pytest.mark.e2e
def test_the_image_runs_a_task_of_vertex_ai(image):
    done = _run(image, "python", "-c", "import pipeline.vertex.task as task; print(task.__file__)")
    assert (done.returncode, done.stdout) == (0, f"{image}/app/pipeline/vertex/task.py\n"), done.stderr
    # Vertex AI names this command; TFX is imported on the way to the executor, which does not exist.
    command = ["python", "-m", "pipeline.vertex.task", "--executor_class_path", "nowhere.Executor"]
    done = _run(image, *command, "--json_serialized_invocation_args", "{}")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "nowhere.Executor failed: ModuleNotFoundError: No module named 'nowhere'"


@pytest.mark.e2e
def test_code_in_the_image_has_the_digest_of_its_tag(image):
    done = _run(image, "python", "-c", "from pipeline.code_digest import project_digest; print(project_digest())")
    assert done.stdout.strip() == project_digest(), done.stderr


@pytest.mark.e2e
def test_linters_and_test_tools_stay_out_and_nothing_misses_them(image, repository):
    left_out = re.findall(r"^[a-z].*", (repository / "requirements/not_in_image.txt").read_text("utf-8"), re.M)
    probe = (
        "import importlib.metadata as m, re; from packaging.requirements import Requirement as R\n"
        "name = lambda text: re.sub('[-_.]+', '-', text).lower()\n"
        "have = {name(d.metadata['Name']) for d in m.distributions()}\n"
        "needed = {name(r.name) for d in m.distributions() for r in map(R, d.requires or [])\n"
        "          if not r.marker or r.marker.evaluate({'extra': ''})}\n"
        "print(*sorted(have)); print(*sorted(needed - have))"
    )
    done = _run(image, "python", "-c", probe)
    installed, missing = (set(line.split()) for line in done.stdout.splitlines())
    assert "tensorflow" in installed
    assert installed & set(left_out) == set()
    assert missing & set(left_out) == set()
    # What the lock file leaves out on purpose.
    overridden = re.findall(r"^([a-z0-9-]+) ;", (repository / "requirements/overrides.txt").read_text("utf-8"), re.M)
    assert missing <= set(overridden)
