"""Executors run in processes of their own: what they say, how they end, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2

from pipeline.local import stage_processes
from pipeline.local.stage_processes import StageFailedError, StageProcesses
from pipeline.local.stage_server import StageRequest

EXECUTOR = "stage_executors.Ends"


def request(folder: Path, how: str, note: str = "") -> StageRequest:
    """Ask for an executor that ends as `how` says."""
    info = data_types.ExecutionInfo(
        execution_id=1,
        exec_properties={"how": how, "note": note},
        execution_output_uri=str(folder / "output"),
        stateful_working_dir=str(folder),
        tmp_dir=str(folder / "tmp"),
        pipeline_run_id="run",
    )
    spec = executable_spec_pb2.PythonClassExecutableSpec(class_path=EXECUTOR)
    execution = info.to_proto().SerializeToString()
    paths = {"log": str(folder / "log.txt"), "lock": str(folder / "lock"), "tmp_dir": str(folder / "tmp")}
    return StageRequest("Ends", execution, spec.SerializeToString(), False, EXECUTOR.rpartition(".")[0], **paths)


@pytest.fixture(scope="module")
def processes() -> Iterator[StageProcesses]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setattr(stage_processes, "LIGHT_STAGES", ("stage_executors",))  # needs no TensorFlow
        started = StageProcesses()
        started.start(lazy=True)
        yield started
        started.close()


def nothing(text: str) -> None:
    pass


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_output_comes_back_from_another_process_and_prints_go_to_the_log(processes: StageProcesses, tmp_path: Path) -> None:
    said: list[str] = []
    output, waited = processes.run(request(tmp_path, "succeed"), said.append)
    assert waited < 30
    answer = execution_result_pb2.ExecutorOutput.FromString(output).execution_properties["answer"].string_value
    pid, scratch = answer.split()
    assert int(pid) != os.getpid()
    assert scratch == str(tmp_path / "tmp")
    assert said[-1] == "about to succeed"  # perhaps after "waiting for ... to load"
    assert "this process says succeed" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("fail", "Column 'fare' is empty. Fill it."),
        ("leave", "Its process ended with status 7 and no word; the log's last lines may say why."),
        ("SIGSEGV", "Its process crashed (SIGSEGV). The log's last lines say which call it was in."),
        (
            "SIGKILL",
            "Its process was killed (SIGKILL): most often by the kernel, for want of memory. `dmesg` would say so.",
        ),
    ],
)
def test_every_end_is_told_and_the_next_stage_runs(processes: StageProcesses, tmp_path: Path, how: str, told: str) -> None:
    with pytest.raises(StageFailedError) as caught:
        processes.run(request(tmp_path, how), nothing)
    assert str(caught.value) == told
    assert processes.run(request(tmp_path, "succeed"), nothing)


def test_the_log_names_the_line_of_a_native_crash(processes: StageProcesses, tmp_path: Path) -> None:
    with pytest.raises(StageFailedError):
        processes.run(request(tmp_path, "SIGSEGV"), nothing)
    log = (tmp_path / "log.txt").read_text()
    assert "Fatal Python error: Segmentation fault" in log
    assert "stage_executors.py" in log


def test_stop_ends_what_runs_with_all_it_started(processes: StageProcesses, tmp_path: Path) -> None:
    caught: list[Exception] = []

    def run() -> None:
        try:
            processes.run(request(tmp_path, "sleep", str(tmp_path / "pids")), nothing)
        except StageFailedError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
    processes.stop()
    thread.join(30)
    assert [str(error) for error in caught] == ["interrupted"]
    wait_for(lambda: not any(map(alive, map(int, (tmp_path / "pids").read_text().split()))))
    with pytest.raises(StageFailedError, match="interrupted"):  # until somebody starts again
        processes.run(request(tmp_path, "succeed"), nothing)
    processes.start(lazy=True)
    assert processes.run(request(tmp_path, "succeed"), nothing)


def test_stop_and_close_do_not_wait_for_a_server_that_is_busy(tmp_path: Path) -> None:
    busy = StageProcesses()
    busy.start(lazy=True)
    servers = [process for process, _ in busy._servers.values()]
    for server in servers:
        server.send_signal(signal.SIGSTOP)  # as busy as one in the midst of an import, and for ever
    caught: list[str] = []

    def run() -> None:
        with pytest.raises(StageFailedError) as error:
            busy.run(request(tmp_path, "succeed"), said.append)
        caught.append(str(error.value))

    said: list[str] = []
    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: said == ["waiting for TensorFlow and Beam to load"])
    busy.stop()
    thread.join(30)
    assert caught == ["interrupted"]
    busy.close()
    assert all(server.returncode is not None for server in servers)


ORPHANS = """
import sys
from pathlib import Path
from pipeline.local import stage_processes
stage_processes.LIGHT_STAGES = ("stage_executors",)
from test_stage_processes import request
processes = stage_processes.StageProcesses()
processes.start(lazy=True)
processes.run(request(Path(sys.argv[1]), "sleep", sys.argv[1] + "/pids"), print)
"""


def test_nothing_outlives_a_runner_that_is_killed(repository: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(repository), str(Path(__file__).parent)])
    runner = subprocess.Popen([sys.executable, "-c", ORPHANS, str(tmp_path)], env=os.environ | {"PYTHONPATH": path})
    wait_for(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
    family = [process.pid for process in psutil.Process(runner.pid).children(recursive=True)]
    assert set(map(int, (tmp_path / "pids").read_text().split())) < set(family)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    wait_for(lambda: not any(map(alive, family)))
