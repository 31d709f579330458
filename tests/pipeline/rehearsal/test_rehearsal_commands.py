"""Commands, forked from a warm process or in an interpreter of their own: the same is seen and said either way."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local import stage_processes
from pipeline.local.stage_processes import StageProcesses
from pipeline.vertex.rehearsal.commands import Command, Commands
from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.warm import PRELOADED, can_be_warm, module_needed

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def warm() -> Iterator[StageProcesses]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE)
        patch.setattr(stage_processes, "LIGHT_STAGES", ("warm_program", "some"))  # needs no TensorFlow
        started = StageProcesses(PRELOADED)
        started.start(lazy=True)
        yield started
        started.close()


@pytest.fixture(params=["warm", "cold"])
def commands(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("PYTHONPATH", HERE)
    return Commands(tmp_path / "lock", request.getfixturevalue("warm") if request.param == "warm" else None, {"MINE": "all"})


def command(folder: Path, *arguments: str, **environment: str) -> Command:
    argv = ("python", "-m", "warm_program", *arguments)
    return Command("task", argv, folder / "log.txt", folder / "scratch", environment)


def test_program_sees_its_arguments_folder_and_environment(commands: Commands, tmp_path: Path) -> None:
    for environment, mine in (({}, "all"), ({"MINE": "its own"}, "its own")):
        commands.run(command(tmp_path, "a", "b c", **environment))
        found = json.loads((tmp_path / "log.txt").read_text().splitlines()[-1])
        assert found["arguments"] == ["a", "b c"]
        assert found["folder"] == found["first_path"] == str(tmp_path / "scratch")
        assert found["environment"] == mine
        assert found["number"] == 0  # nothing of the one before
        assert found["is_warm"] == (commands._warm is not None)
    assert "MINE" not in os.environ


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["words"], "exit code 1: with these words"),
        (["--executor_class_path", "some.Executor"], "3 anomalies:\nand a second line"),
        (["crash"], "crashed (SIGABRT)"),
    ],
)
def test_failure_is_told_in_the_programs_own_words(
    commands: Commands, tmp_path: Path, arguments: list[str], cause: str
) -> None:
    (tmp_path / "log.txt").write_text("some.Executor failed: of an earlier try\n")
    with pytest.raises(TaskFailedError) as error:
        commands.run(command(tmp_path, *arguments))
    assert cause in str(error.value)
    assert "earlier" not in str(error.value)


def test_nothing_is_started_after_a_stop(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "lock")
    commands.stop()
    with pytest.raises(TaskFailedError, match="interrupted"):
        commands.run(command(tmp_path))
    assert (tmp_path / "log.txt").read_text() == ""


@pytest.mark.parametrize(
    ("argv", "environment", "expected"),
    [
        (("python", "-m", "module"), {}, True),
        (("/opt/venv/bin/python3.10", "-m", "module", "x"), {}, True),
        (("python", "program.py", "x"), {}, False),
        (("bash", "-m", "module"), {}, False),
        (("python", "-m", "module"), {"PYTHONPATH": "/code"}, False),  # which a running interpreter does not read
    ],
)
def test_only_modules_run_in_a_warm_process(argv: tuple[str, ...], environment: dict[str, str], expected: bool) -> None:
    assert can_be_warm(argv, environment) is expected


def test_command_waits_for_the_import_of_its_executor() -> None:
    task = ("python", "-m", "pipeline.vertex.task", "--executor_class_path", "pipeline.components.evaluator.Executor")
    assert module_needed(task) == "pipeline.components.evaluator"
    driver = "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver"
    assert module_needed(("python", "-m", driver)) == "pipeline.components.example_gen_executor"
    assert module_needed(("python", "-m", "other")) == "other"
