"""What the compression stage works on: the trained model in a file, its examples as arrays."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import several_plans

from models.compression import workshop
from models.compression.compress import compress
from models.compression.config import CompressionConfig
from models.compression.data import ArraySet, EvaluationBatch, write_arrays
from models.compression.plan import Plan, Problem, plan
from models.compression.report import Compressed, VariantReport, read_results
from models.heads import Head
from models.training import FitConfig
from preprocessing.features import EncodedFeature

# Inputs and config of the fixture `trained`.
FEATURES = (
    EncodedFeature("miles_xf", "miles"),
    EncodedFeature("hour_xf", "hour", width=2),
    EncodedFeature("company_xf", "company", num_ids=300),
)
MODEL = {"numeric_units": 32, "hidden": (64, 32), "dropout": 0.1}


@dataclass(frozen=True)
class Finished:
    """A compression that has run: what it was given, what it said on the way, what came out."""

    plan: Plan
    lines: tuple[str, ...]
    compressed: Compressed

    @property
    def reports(self) -> Mapping[str, VariantReport]:
        return {report.name: report for report in self.compressed.reports}

    @property
    def outcomes(self) -> Mapping[str, str | None]:
        return _outcomes(self.plan)

    def log(self, job: str) -> str:
        with open(self.plan.path(workshop.LOG_FOLDER, f"{job}.log")) as file:
            return file.read()


@pytest.fixture(scope="session")
def examples(trained, tmp_path_factory: pytest.TempPathFactory) -> ArraySet:
    """The examples of `trained`, cut by the parity of a company and, where it is far, by distance."""
    batches = []
    for features, labels in trained.batches():
        parity = [f"parity:{company % 2}" for company in features["company_xf"][:, 0]]
        far = ["far:yes" if miles > 2 else "" for miles in features["miles_xf"][:, 0]]
        batches.append(EvaluationBatch(features, labels, (parity, far)))
    return write_arrays(str(tmp_path_factory.mktemp("examples") / "arrays"), batches)


@pytest.fixture(scope="session")
def problem(trained, examples: ArraySet, tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Compress `trained`."""
    file = str(tmp_path_factory.mktemp("trained") / "trained.keras")
    trained.model.save(file)
    return Problem(
        model=file,
        model_module="models.tabular",
        model_config=MODEL,
        features=FEATURES,
        head=Head("binary", 2),
        fit=FitConfig(batch_size=50, learning_rate=5e-3),
        metrics=("auc", "log_loss"),
        train=examples,
        evaluation=examples,
    )


@pytest.fixture(scope="session")
def run_plans(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Finished]]:
    """Run {name: (problem, config)} by one process; judge what comes out as compress() does."""

    def run(**asked: tuple[Problem, Mapping[str, Any]]) -> dict[str, Finished]:
        root = tmp_path_factory.mktemp("plans")
        plans = {name: _written(str(root / name), *work) for name, work in asked.items()}
        said: dict[str, list[str]] = {}
        for line in map(json.loads, _run([planned.folder for planned in plans.values()]).splitlines()):
            if "folder" in line:
                lines = said.setdefault(os.path.basename(line["folder"]), [])
            else:
                lines.append(line["progress"])
        return {name: _finished(planned, said[name]) for name, planned in plans.items()}

    return run


def _written(folder: str, problem: Problem, config: Mapping[str, Any]) -> Plan:
    os.makedirs(folder)
    planned = plan(folder, problem, CompressionConfig.model_validate(config))
    with open(planned.path(workshop.PLAN_FILE), "wb") as file:
        pickle.dump(planned, file)
    return planned


def _run(folders: Sequence[str]) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", several_plans.__name__, *folders]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=300)  # until the last of its children has closed its end
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0
    return output


def _finished(planned: Plan, lines: Sequence[str]) -> Finished:
    finished = os.path.exists(planned.path(workshop.OUTCOMES_FILE))
    return Finished(planned, tuple(lines), read_results(planned, _outcomes(planned)) if finished else Compressed((), {}, None))


def _outcomes(planned: Plan) -> dict[str, str | None]:
    with open(planned.path(workshop.OUTCOMES_FILE)) as file:
        return json.load(file)


@pytest.fixture(scope="session")
def done(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of compress(): all kinds of recipes behind gates that they pass; the last one cannot be made."""
    student = {"embedding_dim": 2, "numeric_units": 8, "hidden": [16], "dropout": 0.0}
    distill = {"kind": "distill", "epochs": 12, "learning_rate": 0.02, "students": [student]}
    recipes = [
        "float16",
        "int8",
        [{"kind": "prune", "sparsity": 0.5, "epochs": 3}, "int8"],
        {"name": "student", "steps": [distill, "pack", "int8"]},
        {"name": "nowhere", "steps": [{"kind": "prune", "layers": {"names": ["hiden_*"]}}, "int8"]},
    ]
    bounds = {"max_latency_us": 1e5, "max_mean_difference": 0.3, "min_agreement": 0.7}
    gates = {"metric": "auc", "max_loss": 0.05, "max_slice_loss": 0.1, **bounds}
    config, lines = CompressionConfig.model_validate({"recipes": recipes, "gates": gates}), list[str]()
    folder = str(tmp_path_factory.mktemp("compression") / "work")
    result = compress(problem, config, folder, lines.append)
    return Finished(plan(folder, problem, config), tuple(lines), result)
