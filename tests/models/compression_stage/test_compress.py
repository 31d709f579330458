"""compress(): real variants of the trained model, what is measured on them, which may be pushed and which one is."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from models import metrics, tabular
from models.compression.data import EvaluationBatch, write_arrays
from models.compression.plan import Problem
from models.heads import Head

MADE = ["float32", "float16", "int8", "prune-int8", "student"]


def test_every_recipe_has_a_report_the_reference_first(done):
    assert {name: report.techniques for name, report in done.reports.items()} == {
        "float32": (),
        "float16": ("float16",),
        "int8": ("int8",),
        "prune-int8": ("pruning", "int8"),
        "student": ("distillation", "packing", "int8"),
        "nowhere": ("pruning", "int8"),
    }
    assert next(iter(done.reports)) == "float32"


def test_recipe_that_cannot_be_made_says_why_and_the_others_pass(done):
    assert {name: report.error for name, report in done.reports.items() if name != "nowhere"} == dict.fromkeys(MADE)
    assert [name for name, report in done.reports.items() if report.passed] == MADE
    failed = done.reports["nowhere"]
    assert failed.error.startswith(
        "prune: no layer matches types ['Dense', 'Conv1D', 'Conv2D', 'SeparableConv1D', 'SeparableConv2D'], "
        "names ['hiden_*'] with at least 512 weights. The model has: "
    )
    assert "hidden_1 (Dense, 2,048)" in failed.error
    assert failed.error.endswith(". Change `layers`.")
    assert (failed.passed, failed.size_bytes, failed.metrics, failed.gates) == (False, 0, {}, ())


def test_sizes_are_those_of_the_files(done):
    assert list(done.compressed.files) == MADE
    for name in MADE:
        content = Path(done.compressed.files[name]).read_bytes()
        assert content == done.compressed.content(name)
        assert done.reports[name].size_bytes == len(content)
        assert done.reports[name].gzip_bytes == len(gzip.compress(content, 9, mtime=0))


def test_smaller_numbers_and_smaller_networks_are_smaller(done):
    sizes = {name: done.reports[name].size_bytes for name in MADE}
    assert sizes["float32"] > sizes["float16"] > sizes["int8"] > sizes["student"]
    assert done.reports["student"].parameters < done.reports["int8"].parameters / 4
    assert done.reports["prune-int8"].gzip_bytes < done.reports["int8"].gzip_bytes


def test_reference_is_measured_as_the_keras_model_and_loses_nothing(trained, done):
    reference, scores = done.reports["float32"], trained.model.predict(trained.inputs, verbose=0)
    expected = metrics.evaluate("binary", ["auc", "log_loss"], trained.labels, scores)
    assert reference.metrics == pytest.approx(expected, abs=1e-4)
    assert reference.delta == {"auc": 0.0, "log_loss": 0.0}
    assert reference.agreement == {"mean_difference": 0.0, "max_difference": 0.0, "same_label": 1.0}


def test_every_variant_is_compared_with_the_reference(done):
    reference = done.reports["float32"]
    for name in MADE[1:]:
        report = done.reports[name]
        assert report.delta == {metric: report.metrics[metric] - reference.metrics[metric] for metric in ("auc", "log_loss")}
        assert report.delta["log_loss"] != 0
        assert 0 < report.agreement["mean_difference"] <= report.agreement["max_difference"] <= 1
        assert 0.7 <= report.agreement["same_label"] <= 1
        assert 0 <= report.calibration["expected_calibration_error"] < 0.5
        assert {gate["name"]: gate["passed"] for gate in report.gates} == {
            "edge auc loss": True,
            "edge auc loss (worst slice)": True,
            "edge latency us": True,
            "edge mean score difference": True,
            "edge same label": True,
        }
    assert done.reports["float16"].agreement["max_difference"] < 0.01


def test_every_variant_is_measured_in_every_slice(trained, done):
    odd = trained.inputs["company_xf"][:, 0] % 2
    far = trained.inputs["miles_xf"][:, 0] > 2
    for name in MADE:
        slices = {s["slice"]: s for s in done.reports[name].slices}
        assert {s: slices[s]["examples"] for s in slices} == {
            "far:yes": far.sum(), "parity:0": (odd == 0).sum(), "parity:1": odd.sum(),
        }  # fmt: skip
        reference = {s["slice"]: s for s in done.reports["float32"].slices}
        for s in ("parity:0", "parity:1"):
            assert slices[s]["delta"]["auc"] == slices[s]["metrics"]["auc"] - reference[s]["metrics"]["auc"]


def test_every_variant_is_timed(done):
    for name in MADE:
        assert 0.1 < done.reports[name].latency_us < 1e5
        assert done.reports[name].rows_per_second > 1000
        assert done.reports[name].arena_bytes > 0


def test_report_holds_the_proof_of_what_was_done(done):
    types = {name: {weight["dtype"] for weight in done.reports[name].evidence["weights"]} for name in MADE}
    assert types["float32"] == {"FLOAT32"}
    assert "FLOAT16" in types["float16"]
    assert types["int8"] == types["student"] == {"INT8"}
    assert done.reports["prune-int8"].sparsity > 0.2 > done.reports["float32"].sparsity
    assert done.reports["student"].layout == {"numbers": ("miles_xf", "hour_xf"), "ids": ("company_xf",)}
    assert done.reports["int8"].layout == {}


def test_smallest_that_passes_is_chosen(done):
    assert done.compressed.chosen == "student"
    assert done.compressed.to_dict()["chosen"] == "student"
    assert [variant["name"] for variant in done.compressed.to_dict()["variants"]] == [*MADE, "nowhere"]


def test_progress_names_recipes_steps_and_epochs(done):
    assert [line.split(", loss")[0] for line in done.lines if "student" in line] == [
        *(f"student: distill, epoch {epoch}/12" for epoch in range(1, 13)),
        "student: int8",
    ]
    assert sum(line.startswith("prune-int8: prune, epoch ") for line in done.lines) == 3
    assert any(line.startswith("nowhere: prune: failed: prune: no layer matches") for line in done.lines)
    assert done.lines[-1] == "latency of all variants"


def test_jobs_leave_logs_and_those_that_train_tensorboard_summaries(done):
    assert "variant-student.log" in os.listdir(done.plan.path("logs"))
    (distilled,) = [job.name for job in done.plan.jobs if job.name.endswith("-distill")]
    assert sorted(os.listdir(done.plan.path(distilled, "tensorboard"))) == ["train", "validation"]


def made_of(kind: str, folder: Path, problem: Problem) -> Problem:
    """A network as it was initialized, and labels that it predicts perfectly."""
    keras.utils.set_random_seed(1)
    folder.mkdir()
    head = Head(kind, 3) if kind == "multiclass" else Head(kind, offset=50.0, scale=100.0)
    config = tabular.Config(embedding_dim=4, numeric_units=16, hidden=(64, 32), dropout=0.0)
    model = tabular.build(config, problem.features, head)
    model.save(folder / "model.keras")
    scores = model.predict(dict(problem.evaluation.features), verbose=0)
    labels = scores.argmax(axis=1) if kind == "multiclass" else scores[:, 0]
    examples = write_arrays(str(folder / "arrays"), [EvaluationBatch(problem.evaluation.features, labels)])
    return replace(
        problem,
        model=str(folder / "model.keras"),
        model_config=config.model_dump(),
        head=head,
        metrics=tuple(metrics.METRICS[head.kind]),
        train=examples,
        evaluation=examples,
    )


def calibrated_far_away(problem: Problem, folder: Path) -> Problem:
    """Calibrated for values in the tens of thousands, everything that occurs is rounded to 0."""
    far = {name: x[:50] if x.dtype == np.int32 else x[:50] * 1e5 for name, x in problem.evaluation.features.items()}
    return replace(problem, train=write_arrays(str(folder), [EvaluationBatch(far, problem.evaluation.labels[:50])]))


@pytest.fixture(scope="module")
def others(run_plans, problem: Problem, tmp_path_factory: pytest.TempPathFactory):
    """Quantize a model of three classes, one of a number, and one into collapse; all gates are wide."""
    folder = tmp_path_factory.mktemp("others")
    several, number = (made_of(kind, folder / kind, problem) for kind in ("multiclass", "regression"))
    far = calibrated_far_away(problem, folder / "far")
    gates = {
        "several": {"metric": "accuracy", "max_loss": 0.1, "min_agreement": 0.9},
        "number": {"metric": "rmse", "max_loss": 2, "max_mean_difference": 2},
        "far": {"metric": "auc", "max_loss": 1},
    }
    problems = {"several": several, "number": number, "far": far}
    return run_plans(**{name: (problems[name], {"recipes": ["int8"], "gates": gates[name]}) for name in problems})


def test_model_of_several_classes_is_compressed(others):
    labels = others["several"].plan.problem.evaluation.labels
    assert len(np.unique(labels)) == 3
    reports = others["several"].reports
    assert reports["float32"].metrics["accuracy"] == 1.0
    assert (reports["int8"].passed, reports["int8"].error) == (True, None)
    assert 0.9 <= reports["int8"].metrics["accuracy"] == reports["int8"].agreement["same_label"]
    assert 0 <= reports["int8"].calibration["expected_calibration_error"] <= 1
    assert others["several"].compressed.chosen == "int8"


def test_model_of_a_number_is_compressed(others):
    assert np.std(others["number"].plan.problem.evaluation.labels) > 4
    reports = others["number"].reports
    assert reports["float32"].metrics["rmse"] < 1e-3
    assert (reports["int8"].passed, reports["int8"].error) == (True, None)
    assert 0 < reports["int8"].metrics["mae"] < 2
    assert reports["int8"].agreement["same_label"] is None
    assert reports["int8"].calibration.keys() == {"mean_error"}
    assert others["number"].compressed.chosen == "int8"


def test_variant_that_collapses_to_one_class_fails_whatever_its_gates_allow(others):
    report = others["far"].reports["int8"]
    assert [gate["passed"] for gate in report.gates] == [True]
    assert report.error in [f"it has collapsed: every row gets class {i}, the reference gives 2 classes" for i in (0, 1)]
    assert not report.passed
    assert others["far"].compressed.chosen is None  # the reference is what others are compared with, not a choice
