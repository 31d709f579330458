"""The workshop: jobs in processes of their own, and what is said of those that crash, linger, overeat or stumble."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import misbehaving
import psutil
import pytest
import several_plans
import tf_keras as keras

from models.compression import workshop
from models.compression.compress import compress
from models.compression.config import CompressionConfig
from models.compression.plan import Problem
from models.inputs import keras_inputs


def student(does: str) -> dict[str, Any]:
    """A recipe of one student that does something while it is built."""
    step = {"kind": "distill", "epochs": 2, "students": [{"does": does}]}
    return {"name": does, "steps": [step, "int8"]}


def config(*recipes: Any, **limits: int) -> dict[str, Any]:
    return {"recipes": recipes, "gates": {"metric": "auc"}, "limits": {"processes": 2, **limits}}


@pytest.fixture(scope="module")
def misbehaving_problem(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """A model with CategoryEncoding, whose conversion to int8 kills the converter (TensorFlow 2.16)."""
    inputs = keras_inputs(problem.features)
    encoded = keras.layers.CategoryEncoding(300, output_mode="one_hot")(inputs["company_xf"])
    x = keras.layers.Concatenate()([inputs["miles_xf"], inputs["hour_xf"], encoded])
    model = keras.Model(inputs, problem.head.output(keras.layers.Dense(16, "relu")(x)))
    file = str(tmp_path_factory.mktemp("encoding") / "model.keras")
    model.save(file)
    return replace(problem, model=file, model_module=misbehaving.__name__, model_config={})


@pytest.fixture(scope="module")
def ran(run_plans, misbehaving_problem: Problem):
    """Crashes of every kind beside a recipe that works, jobs that go beyond their limits, and a workshop left alone."""
    crashes = ["int8", *map(student, ("crash", "learn", "exit", "complain", "stumble"))]
    limited = config(student("sleep"), student("eat"), seconds=10, memory_mb=1500)
    plans = {"crashes": config(*crashes), "limits": limited, several_plans.ORPHANED: config(student("sleep"))}
    return run_plans(**{name: (misbehaving_problem, values) for name, values in plans.items()})


@pytest.fixture
def crashes(ran):
    return ran["crashes"]


@pytest.fixture
def limits(ran):
    return ran["limits"]


def test_converter_that_dies_is_a_failed_job_with_signal_place_and_log(crashes, current: bool):
    error = crashes.outcomes["variant-int8"]
    if current:  # it says so and lives
        assert "Could not translate MLIR to FlatBuffer" in error
        return
    assert re.fullmatch(
        r"its process was ended by SIGSEGV during 'int8: int8': the library under it crashed\. "
        r"Its last line: .{1,200}\. See logs/variant-int8\.log\.",
        error,
    )
    assert "Fatal Python error: Segmentation fault" in crashes.log("variant-int8")
    assert "quantization.py" in crashes.log("variant-int8")  # which line of ours called it


def test_crash_before_the_first_word_has_the_last_printed_line(crashes):
    assert re.fullmatch(
        r"its process was ended by SIGSEGV: the library under it crashed\. Its last line: crash: process \d+\. "
        r"See logs/1-distill\.log\.",
        crashes.outcomes["1-distill"],
    )


def test_process_that_exits_by_itself_has_failed_with_its_code(crashes):
    assert re.fullmatch(
        r"its process ended with exit code 7: the library under it crashed\. Its last line: exit: process \d+\. "
        r"See logs/3-distill\.log\.",
        crashes.outcomes["3-distill"],
    )


def test_error_of_ours_is_its_sentence_and_any_other_has_its_type(crashes):
    assert crashes.outcomes["4-distill"] == "this student cannot be built."
    assert crashes.outcomes["5-distill"] == "KeyError: 'nowhere'"
    assert "KeyError: 'nowhere'" in crashes.log("5-distill")
    assert "in _stumble" in crashes.log("5-distill")


def test_error_of_the_converter_is_passed_on(crashes):
    assert crashes.outcomes["variant-float32"].startswith("ConverterError: ")
    assert "tf.DenseBincount" in crashes.outcomes["variant-float32"]


def test_others_finish_whatever_crashes(crashes):
    finished = [job for job, error in crashes.outcomes.items() if error is None]
    assert sorted(finished) == ["2-distill", "timing", "trained", "variant-learn"]
    assert os.path.getsize(crashes.plan.path("variant-learn", "model.tflite")) > 1000


@pytest.mark.parametrize(("step", "variant"), [("1-distill", "crash"), ("3-distill", "exit"), ("4-distill", "complain")])
def test_what_needs_a_failed_job_fails_for_the_same_reason_and_never_starts(crashes, step: str, variant: str):
    assert crashes.outcomes[f"variant-{variant}"] == crashes.outcomes[step]
    assert not os.path.exists(crashes.plan.path("logs", f"variant-{variant}.log"))


def test_every_job_has_an_outcome_and_every_started_one_a_log(crashes):
    steps = [f"{i}-distill" for i in range(1, 6)]
    variants = [f"variant-{name}" for name in ("float32", "int8", "crash", "learn", "exit", "complain", "stumble")]
    assert sorted(crashes.outcomes) == sorted(["trained", *steps, *variants, "timing"])
    logs = [f"{job}.log" for job in ["trained", *steps, "variant-float32", "variant-int8", "variant-learn", "timing"]]
    assert sorted(os.listdir(crashes.plan.path("logs"))) == sorted(logs)
    assert "learn: process" in crashes.log("2-distill")


def test_progress_tells_epochs_conversions_and_failures(crashes):
    epochs = [line for line in crashes.lines if line.startswith("learn: distill")]
    number = r"\d+\.\d{4}"
    assert [re.sub(number, "x", line) for line in epochs] == [
        "learn: distill, epoch 1/2, loss x, eval loss x",
        "learn: distill, epoch 2/2, loss x, eval loss x",
    ]
    assert "learn: int8" in crashes.lines
    assert "complain: distill: failed: this student cannot be built." in crashes.lines
    assert f"int8: int8: failed: {crashes.outcomes['variant-int8']}" in crashes.lines


def test_job_beyond_its_time_is_ended(limits):
    assert limits.outcomes["1-distill"] == "took longer than 10 s. Raise `compression.limits.seconds`."
    assert limits.outcomes["variant-sleep"] == limits.outcomes["1-distill"]
    assert not is_running(process_in(limits.log("1-distill")))


def test_job_beyond_its_memory_is_ended(limits):
    error = limits.outcomes["2-distill"]
    used = re.fullmatch(r"used ([\d,]+) MB, 1,500 are allowed\. Raise `compression\.limits\.memory_mb`\.", error)
    assert 1500 < int(used[1].replace(",", "")) < 4000
    assert not is_running(process_in(limits.log("2-distill")))


def process_in(text: str) -> int:
    return int(re.search(r"process (\d+)", text)[1])


def is_running(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(true, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def test_workshop_and_its_jobs_end_when_the_process_that_asked_has_ended(ran):
    assert not os.path.exists(ran[several_plans.ORPHANED].plan.path(workshop.OUTCOMES_FILE))
    processes = process_in(ran[several_plans.ORPHANED].lines[0]), process_in(ran[several_plans.ORPHANED].log("1-distill"))
    assert wait_until(lambda: not any(map(is_running, processes)), 20)


def test_workshop_whose_caller_is_killed_while_it_starts_runs_no_job(misbehaving_problem: Problem, tmp_path: Path):
    folder = tmp_path / "work"
    asked = CompressionConfig.model_validate(config(student("sleep")))
    caller = multiprocessing.get_context("fork").Process(target=compress, args=(misbehaving_problem, asked, str(folder), str))
    caller.start()
    assert wait_until(psutil.Process(caller.pid).children, 10)
    (started,) = psutil.Process(caller.pid).children()
    caller.kill()
    caller.join()
    try:
        assert wait_until(lambda: not is_running(started.pid) or any(folder.glob("logs/*.log")), 90)
        assert not is_running(started.pid)
        assert not any(folder.glob("logs/*.log"))
    finally:
        for process in [*started.children(), started] if started.is_running() else []:
            process.kill()


ANY = CompressionConfig.model_validate({"gates": {"metric": "auc"}})


@pytest.fixture
def instead_of_the_workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Let a shell script be the interpreter that the workshop runs in."""

    def script(text: str) -> None:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(file))

    return script


def test_workshop_that_fails_is_an_error_with_its_last_lines(problem: Problem, instead_of_the_workshop, tmp_path: Path):
    instead_of_the_workshop("for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3")
    with pytest.raises(RuntimeError) as caught:
        compress(problem, ANY, str(tmp_path / "work"))
    assert str(caught.value) == (
        "The compression's workshop ended with exit code 3. Its last lines: line 3\nline 4\nline 5\nline 6\nline 7"
    )
    instead_of_the_workshop("exit 1")
    with pytest.raises(RuntimeError, match=r"^The compression's workshop ended with exit code 1. Its last lines: none$"):
        compress(problem, ANY, str(tmp_path / "work"))


def test_interrupt_ends_the_workshop_and_all_its_children(problem: Problem, instead_of_the_workshop, tmp_path: Path):
    instead_of_the_workshop('sleep 600 &\necho "{\\"progress\\": \\"$$ $!\\"}"\nwait')
    ids: list[int] = []

    def interrupt(text: str) -> None:
        ids.extend(map(int, text.split()))
        assert all(map(is_running, ids))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(problem, ANY, str(tmp_path / "work"), interrupt)
    assert len(ids) == 2
    assert wait_until(lambda: not any(map(is_running, ids)), 5)


def test_workshop_that_is_killed_leaves_no_job_behind(problem: Problem, instead_of_the_workshop, tmp_path: Path):
    instead_of_the_workshop('sleep 600 >/dev/null 2>&1 &\necho "{\\"progress\\": \\"$!\\"}"\nkill -9 $$')
    said: list[str] = []
    with pytest.raises(RuntimeError, match=r"^The compression's workshop ended with exit code -9\."):
        compress(problem, ANY, str(tmp_path / "work"), said.append)
    left = not wait_until(lambda: not is_running(int(said[0])), 5)
    if left:
        os.kill(int(said[0]), signal.SIGKILL)
    assert not left
