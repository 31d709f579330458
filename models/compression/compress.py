"""compress(): from a trained model to judged `.tflite` variants."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

from models.compression import workshop
from models.compression.config import CompressionConfig
from models.compression.plan import Plan, Problem, plan
from models.compression.report import Compressed, read_results


def compress(problem: Problem, config: CompressionConfig, folder: str, announce: Callable[[str], None] = print) -> Compressed:
    """Make every variant, run it over the whole eval split, judge it, choose one.

    Args:
      problem: what is compressed, and with what data.
      config: recipes and gates.
      folder: an empty or missing one, for everything on the way: models, logs, TensorBoard summaries.
      announce: takes lines of progress.

    Returns:
      The variants. One that cannot be made, or whose technique did not act, has failed with the reason in `error`.

    Raises:
      RuntimeError: the workshop itself failed.
    """
    os.makedirs(folder, exist_ok=True)
    planned = plan(os.path.abspath(folder), problem, config)
    with open(os.path.join(folder, workshop.PLAN_FILE), "wb") as file:
        pickle.dump(planned, file)
    _run_workshop(planned, announce)
    with open(os.path.join(folder, workshop.OUTCOMES_FILE), encoding="utf-8") as outcomes:
        return read_results(planned, json.load(outcomes))


def _run_workshop(planned: Plan, announce: Callable[[str], None]) -> None:
    log_path = os.path.join(planned.folder, "workshop.log")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", workshop.__name__, planned.folder, str(os.getpid())],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,  # so that all of its children can be ended with it
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                announce(json.loads(line)["progress"])
            code = process.wait()
        except BaseException:
            _end_group(process.pid)
            process.wait()
            raise
    if code:
        _end_group(process.pid)  # its jobs outlive a workshop that was killed
        with open(log_path, encoding="utf-8", errors="replace") as log:
            last = "".join(log.readlines()[-5:]).strip()
        raise RuntimeError(f"The compression's workshop ended with exit code {code}. Its last lines: {last or 'none'}")


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
