"""What a finished workshop's files are judged to be worth, and which variant is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.compression import work, workshop
from models.compression.config import CompressionConfig
from models.compression.data import EvaluationBatch, write_arrays
from models.compression.plan import Job, Plan, Problem
from models.compression.report import Compressed, VariantReport, choose, read_results


@pytest.fixture
def judge_again(done):
    """Read the files of `done` by another config, or as if jobs had ended otherwise."""

    def read(ended: Mapping[str, str] | None = None, plan: Plan = done.plan, **config: object) -> Compressed:
        with open(plan.path(workshop.OUTCOMES_FILE)) as file:
            outcomes = json.load(file)
        checked = CompressionConfig.model_validate(plan.config.model_dump() | config)
        return read_results(replace(plan, config=checked), outcomes | (ended or {}))

    return read


def by_name(result: Compressed) -> dict[str, VariantReport]:
    return {report.name: report for report in result.reports}


def test_reading_twice_gives_the_same(done, judge_again):
    assert judge_again().to_dict() == done.compressed.to_dict()


def test_report_survives_being_written(done):
    written = json.loads(json.dumps(done.compressed.to_dict()))
    assert [variant["name"] for variant in written["variants"]] == list(done.reports)
    assert written["variants"][1]["metrics"] == done.reports["float16"].metrics
    assert written["chosen"] == "student"


def test_fastest_and_weights_choose_among_the_same_reports(done):
    def chosen(policy: object) -> str | None:
        config = CompressionConfig.model_validate(done.plan.config.model_dump() | {"choose": policy})
        return choose(done.compressed.reports[1:], done.reports["float32"], config, "binary")

    passed = [report for report in done.compressed.reports[1:] if report.passed]
    assert chosen("smallest") == chosen({"size": 1, "latency": 0}) == min(passed, key=lambda report: report.size_bytes).name
    assert chosen("fastest") == chosen({"size": 0, "latency": 1}) == min(passed, key=lambda report: report.latency_us).name
    least = max(passed, key=lambda report: min(0.0, report.delta["auc"]))
    assert chosen({"size": 0, "latency": 0, "loss": 1}) == least.name


REFERENCE = VariantReport("float32", metrics={"auc": 0.9}, size_bytes=1000, latency_us=10.0, passed=True)
OTHERS = [
    VariantReport("slim", metrics={"auc": 0.88}, size_bytes=100, latency_us=30.0, passed=True),
    VariantReport("quick", metrics={"auc": 0.89}, size_bytes=600, latency_us=2.0, passed=True),
    VariantReport("tiny", metrics={"auc": 0.7}, size_bytes=10, latency_us=1.0, passed=False),
]


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("smallest", "slim"),
        ("fastest", "quick"),
        ({"size": 1, "latency": 1}, "quick"),  # 0.6 + 0.2, against 0.1 + 3 and 1 + 1
        ({"size": 10, "latency": 1}, "slim"),  # 1 + 3, against 6 + 0.2
        ({"size": 1, "latency": 0, "loss": 100}, "float32"),  # 1, against 0.1 + 2 and 0.6 + 1
    ],
)
def test_policy_decides_among_those_that_pass(policy: object, name: str):
    config = CompressionConfig.model_validate({"gates": {"metric": "auc"}, "choose": policy})
    assert choose([REFERENCE, *OTHERS], REFERENCE, config, "binary") == name
    assert choose([REFERENCE, OTHERS[-1]], REFERENCE, config, "binary") == "float32"
    assert choose([OTHERS[-1]], REFERENCE, config, "binary") is None


def test_metric_that_has_risen_is_no_reason_to_take_a_variant():
    better = replace(OTHERS[0], metrics={"auc": 0.99}, size_bytes=1001, latency_us=10.0)
    config = CompressionConfig.model_validate({"gates": {"metric": "auc"}, "choose": {"loss": 1000}})
    assert choose([REFERENCE, better], REFERENCE, config, "binary") == "float32"


@pytest.mark.parametrize(
    ("chosen", "chosen_raw", "wants_raw", "blessed"),
    [
        ("a", None, False, True),
        (None, None, False, False),
        ("a", None, True, False),
        ("a", "b", True, True),
        (None, "b", True, False),
    ],
)
def test_blessing_needs_a_raw_variant_only_where_there_should_be_one(chosen, chosen_raw, wants_raw: bool, blessed: bool):
    reports = [REFERENCE, *([replace(OTHERS[0], inputs="raw")] if wants_raw else [])]
    assert Compressed(reports, {}, chosen, chosen_raw).blessed is blessed


def as_raw(job: Job, *names: str) -> Job:
    return replace(job, raw=True) if getattr(job, "variant", None) in names else job


def test_variants_with_raw_inputs_are_chosen_among_themselves(done, judge_again):
    plan = replace(done.plan, jobs=tuple(as_raw(job, "int8", "student") for job in done.plan.jobs))
    result = judge_again(plan=plan)
    assert [report.name for report in result.reports if report.inputs == "raw"] == ["int8", "student"]
    assert (result.chosen, result.chosen_raw, result.blessed) == ("prune-int8", "student", True)
    tight = judge_again(
        plan=plan, gates={"metric": "auc", "max_loss": 0.05, "max_size_bytes": done.reports["student"].size_bytes}
    )
    assert (tight.chosen, tight.chosen_raw, tight.blessed) == (None, "student", False)
    assert tight.to_dict()["chosen_raw"] == "student"


@pytest.mark.parametrize(("parity", "passed"), [(0.0, True), (0.0001, True), (0.00011, False)])
@pytest.mark.parametrize("which", ["mean", "largest"])
def test_raw_model_must_give_the_scores_of_its_network_behind_the_transform(
    done, judge_again, tmp_path: Path, which: str, parity: float, passed: bool
):
    folder = str(tmp_path / "work")
    shutil.copytree(done.plan.folder, folder)
    plan = replace(done.plan, folder=folder, jobs=tuple(as_raw(job, "int8") for job in done.plan.jobs))
    facts = Path(plan.path("variant-int8", work.FACTS_FILE))
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"parity": {"mean": 1.0, "largest": 1.0, which: parity}}))
    # Without steps it is the trained network in float: every row must agree.
    recipes = {
        "mean": plan.config.model_dump()["recipes"],
        "largest": [{"name": "int8", "steps": "raw", "inputs": "raw"}, "float16"],
    }
    result = judge_again(plan=plan, recipes=recipes[which])
    report = by_name(result)["int8"]
    name = f"edge raw-feature parity, {which} score difference"
    assert report.gates[-1] == {"name": name, "bound": "<= 0.0001", "value": parity, "passed": passed, "slice": None}
    assert report.error == (None if passed else f"{name} is 0.00011, bound <= 0.0001")
    assert result.chosen_raw == ("int8" if passed else None)
    assert result.blessed is passed


def test_tight_gate_leaves_nothing_to_choose_and_a_reason_each(done, judge_again):
    tight = judge_again(gates={"metric": "auc", "max_loss": 0.05, "max_size_bytes": 1000})
    assert tight.chosen is None
    assert list(tight.files) == list(done.compressed.files)
    for name in tight.files:
        report = by_name(tight)[name]
        assert (report.passed, report.error) == (False, f"edge bytes is {report.size_bytes}, bound <= 1000")


def test_size_of_a_variant_separates_it_from_larger_ones(done, judge_again):
    limit = done.reports["int8"].size_bytes
    result = judge_again(gates={"metric": "auc", "max_loss": 0.05, "max_size_bytes": limit}, choose="fastest")
    passed = {report.name for report in result.reports if report.passed}
    assert passed == {name for name in done.compressed.files if done.reports[name].size_bytes <= limit}
    assert "float32" not in passed
    assert result.chosen in passed


def test_every_gate_that_is_not_held_is_among_the_reasons(done, judge_again):
    gates = {"metric": "auc", "max_loss": 0.05, "max_size_bytes": 1000, "max_latency_us": 0.001}
    report = by_name(judge_again(gates=gates))["int8"]
    assert [reason.split(" is ")[0] for reason in report.error.split("; ")] == ["edge bytes", "edge latency us"]
    assert [(gate["name"], gate["passed"]) for gate in report.gates] == [
        ("edge auc loss", True), ("edge bytes", False), ("edge latency us", False),
    ]  # fmt: skip


def test_without_a_reference_no_other_variant_passes(done, judge_again):
    result = judge_again({"variant-float32": "broke"})
    reports = by_name(result)
    assert reports.pop("float32").error == "broke"
    assert reports.pop("nowhere").error == done.reports["nowhere"].error
    assert {report.error for report in reports.values()} == {"The float32 reference failed, so no loss can be measured."}
    assert not any(report.passed for report in result.reports)
    assert result.chosen is None
    assert reports["int8"].size_bytes == done.reports["int8"].size_bytes


def test_reference_whose_metric_is_no_number_fails(done, problem: Problem, judge_again, tmp_path: Path):
    ones = np.ones_like(problem.evaluation.labels)
    evaluation = write_arrays(str(tmp_path / "ones"), [EvaluationBatch(problem.evaluation.features, ones)])
    plan = replace(done.plan, problem=replace(problem, evaluation=evaluation))
    result = judge_again(plan=plan, gates={"metric": "auc", "max_loss": 0.5})
    assert result.chosen is None
    assert by_name(result)["float32"].error == "edge auc loss is none, bound <= 0.5"


@pytest.mark.parametrize("policy", ["fastest", {"size": 1, "latency": 1}])
def test_without_times_nothing_is_chosen_by_latency(judge_again, policy: object):
    result = judge_again({"timing": "took longer than 900 s."}, choose=policy, gates={"metric": "auc", "max_loss": 0.05})
    assert result.chosen is None
    for name in result.files:
        assert "latency" in by_name(result)[name].error
        assert "took longer than 900 s." in by_name(result)[name].error


def test_without_times_the_smallest_is_chosen_all_the_same(judge_again):
    gates = {"metric": "auc", "max_loss": 0.05}
    assert judge_again({"timing": "took longer than 900 s."}, gates=gates).chosen == "student"
