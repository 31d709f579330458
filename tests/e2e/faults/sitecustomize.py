"""Does harm at a chosen point of a run: Python imports this at its start where the folder is on PYTHONPATH and FAULT is set.

FAULT is JSON: {"at": "module:function" or "module:Class.function", "when": "before" or "after", "count": which call,
"what": one of HARMS}. FAULT_RUNNER becomes the process id of the first process, the runner.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time

RUNNER = "FAULT_RUNNER"


def kill_runner() -> None:
    """Kill the runner alone: its stages find out by themselves."""
    os.kill(int(os.environ[RUNNER]), signal.SIGKILL)
    time.sleep(60)


def cut_power() -> None:
    """Kill the runner and everything that it has started, this process last."""
    import psutil

    runner = psutil.Process(int(os.environ[RUNNER]))
    for process in [runner, *runner.children(recursive=True)]:
        if process.pid != os.getpid():
            process.kill()
    os.kill(os.getpid(), signal.SIGKILL)


def kill_this() -> None:
    """Kill the process that gets here, as the kernel does for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """Press Ctrl-C, and go on for a while."""
    os.kill(int(os.environ[RUNNER]), signal.SIGINT)
    time.sleep(60)


def terminate() -> None:
    """End the runner as `kill` and schedulers do."""
    os.kill(int(os.environ[RUNNER]), signal.SIGTERM)
    time.sleep(60)


def fill_disk() -> None:
    """Leave no byte of the file system that FAULT_FILL is on."""
    with open(os.environ["FAULT_FILL"], "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


HARMS = {harm.__name__: harm for harm in (kill_runner, cut_power, kill_this, interrupt, terminate, fill_disk)}


class _Wrapped(importlib.abc.Loader):
    """Loads a module and puts the fault into one of its functions."""

    def __init__(self, loader: importlib.abc.Loader, fault: dict):
        self._loader, self._fault = loader, fault

    def create_module(self, spec: importlib.machinery.ModuleSpec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        self._loader.exec_module(module)
        *owners, name = self._fault["at"].partition(":")[2].split(".")
        owner = functools.reduce(getattr, owners, module)
        setattr(owner, name, _harmed(getattr(owner, name), self._fault))


def _harmed(function, fault: dict):
    calls = [0]

    @functools.wraps(function)
    def harmed(*arguments, **named):
        calls[0] += 1
        due = calls[0] == fault.get("count", 1)
        if due and fault["when"] == "before":
            HARMS[fault["what"]]()
        result = function(*arguments, **named)
        if due and fault["when"] == "after":
            HARMS[fault["what"]]()
        return result

    return harmed


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, fault: dict):
        self._fault = fault

    def find_spec(self, name, path, target=None):
        if name != self._fault["at"].partition(":")[0]:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            spec.loader = _Wrapped(spec.loader, self._fault)
        return spec


if "FAULT" in os.environ:
    import importlib.util

    os.environ.setdefault(RUNNER, str(os.getpid()))
    sys.meta_path.insert(0, _Finder(json.loads(os.environ["FAULT"])))
