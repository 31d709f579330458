"""Runs a container's `python -m module ...` in a fork of a process that has imported what stages need.

It is what a fresh interpreter would run, but for the imports: those are made, and made leanly. What only a fresh interpreter
shows, such as a module that the image lacks, `rehearse --cold` shows.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.vertex.rehearsal.errors import TaskFailedError
from pipeline.vertex.rehearsal.last_words import cause_of_exit

_DRIVER = "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver"
_EXECUTOR_FLAG = "--executor_class_path"
# What the processes import ahead for every task: the entry point's own modules.
PRELOADED = {
    "light": ("pipeline.vertex.rehearsal.preloaded", "pipeline.vertex.rehearsal.preloaded_driver"),
    "heavy": ("pipeline.vertex.rehearsal.preloaded",),
}


@dataclass(frozen=True)
class TaskRequest:
    """What a child of `pipeline.local.stage_server` needs to run a command; see StageRequest there.

    Attributes:
      stage_id: name of the task.
      module: the executor that must have been imported first.
      on_beam: it is one of TFX's own, on Beam.
      log: path of the file that its output goes to.
      lock: path of the file that says whether tasks are at work.
      tmp_dir: for what may be removed when it is done.
      argv: the command, python -m module ...
      environment: beside that of this machine.
      folder: that it is run in.
    """

    stage_id: str
    module: str
    on_beam: bool
    log: str
    lock: str
    tmp_dir: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str

    def execute(self) -> bytes:
        """Run the command in this process.

        Raises:
          TaskFailedError: it ended with another code than 0.
        """
        begin = os.path.getsize(self.log)
        if isinstance(sys.stdout, io.TextIOWrapper):  # in the order that it is said, as the image has it: PYTHONUNBUFFERED
            sys.stdout.reconfigure(line_buffering=True)
        os.environ.update(self.environment)
        os.chdir(self.folder)
        sys.path[0] = self.folder  # as `python -m` has it
        module = self.argv[2]
        sys.argv = list(self.argv[2:])
        sys.modules.pop(module, None)
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code: object = 0
        except SystemExit as error:
            code = error.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        if code not in (None, 0):
            raise TaskFailedError(cause_of_exit(code if isinstance(code, int) else 1, self.log, begin, executor_in(self.argv)))
        return b""


def can_be_warm(argv: tuple[str, ...], environment: Mapping[str, str]) -> bool:
    """Tell whether a command is one that a warm process can run."""
    is_module = len(argv) > 2 and argv[1] == "-m" and re.fullmatch(r"python[\d.]*", os.path.basename(argv[0])) is not None
    return is_module and "PYTHONPATH" not in environment


def executor_in(argv: tuple[str, ...]) -> str:
    """Return the executor that a command names, module.Class; "" for none."""
    return argv[argv.index(_EXECUTOR_FLAG) + 1] if _EXECUTOR_FLAG in argv[:-1] else ""


def module_needed(argv: tuple[str, ...]) -> str:
    """Return the module that a warm process must have imported before it runs a command."""
    if argv[2] == _DRIVER:
        return "pipeline.components.example_gen_executor"  # which imports most of what it does
    return executor_in(argv).rpartition(".")[0] or argv[2]
