from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from retrain_cloud import JOB, Cloud
from retrain_service import BUCKET, DATA, ENVIRONMENT, Function, Storage, serving
from terraform_files import FOLDERS, Blocks, blocks

from pipeline.vertex.stand_in.server import StandIn

RUNTIME = f"""
project: my-project
region: europe-west4
bucket: gs://{BUCKET}
image: europe-west4-docker.pkg.dev/my-project/pipelines/tfx-pipeline@sha256:{"ab" * 32}
service_account: pipeline@my-project.iam.gserviceaccount.com
"""


@pytest.fixture(scope="session", name="terraform")
def _terraform(repository: Path) -> Path:
    return repository / "deploy/terraform"


@pytest.fixture(scope="session", name="parsed")
def _parsed(terraform: Path) -> dict[str, Blocks]:
    """What each folder of Terraform's files declares."""
    return {folder: blocks(terraform / folder) for folder in FOLDERS}


@pytest.fixture(scope="session", name="source")
def _source(repository: Path) -> Path:
    return repository / "deploy/functions/retrain"


@pytest.fixture(scope="session", name="venv")
def _venv(source, tmp_path_factory) -> Path:
    """The function's packages, by hash, with pip: as Google's buildpack installs them."""
    venv = tmp_path_factory.mktemp("function") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", source / "requirements.txt"], check=True)
    return venv


@pytest.fixture(scope="session", name="compiled")
def _compiled(repository, tmp_path_factory) -> dict[str, bytes]:
    """Jobs as `runner_vertex.py compile` writes them: of the newest span, of span 7, of a query."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "runtime.yaml").write_text(RUNTIME)
    spans = f"data.path=gs://{DATA}/taxi/span-{{SPAN:3}}/*.csv"
    query = "data={kind: bigquery, query: SELECT 1}"
    jobs = {"newest": [spans], "seven": [spans, "data.span=7"], "query": [query]}
    for name, overrides in jobs.items():
        command = [sys.executable, "runner_vertex.py", "compile", "--config", "configs/taxi.yaml", "--runtime"]
        command += [folder / "runtime.yaml", "--output", folder / name, *(word for one in overrides for word in ("--set", one))]
        subprocess.run(command, cwd=repository, check=True, capture_output=True)
    return {name: (folder / name).read_bytes() for name in jobs}


@pytest.fixture(scope="session", name="stand_ins")
def _stand_ins() -> Iterator[tuple[Storage, StandIn, dict[str, str]]]:
    storage = Storage()
    with storage.serving() as address, StandIn("my-project", "europe-west4") as vertex:
        places = {"STORAGE_EMULATOR_HOST": address, "AIPLATFORM_ENDPOINT": vertex.endpoint}
        yield storage, vertex, ENVIRONMENT | places


@pytest.fixture(scope="session", name="function")
def _function(venv, source, stand_ins, tmp_path_factory) -> Iterator[Function]:
    with serving(venv, source, tmp_path_factory.mktemp("log") / "log", stand_ins[2]) as running:
        yield running


@pytest.fixture(name="cloud")
def _cloud(stand_ins, compiled) -> Iterator[Cloud]:
    """A promoted job, spans 5 and 7 complete, 8 being written; no job of Vertex AI."""
    cloud = Cloud(*stand_ins[:2])
    cloud.storage.put(BUCKET, JOB, compiled["newest"])
    for span in (5, 7):
        cloud.storage.put(DATA, f"taxi/span-{span:03}/rows.csv")
        cloud.storage.put(DATA, f"taxi/span-{span:03}/_SUCCESS")
    cloud.storage.put(DATA, "taxi/span-008/rows.csv")
    yield cloud
    cloud.clear()
