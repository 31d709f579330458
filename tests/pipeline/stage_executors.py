"""Executors that end in every way there is. Imported by the processes that test_stage_processes starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor

from pipeline.errors import DataError
from pipeline.progress import announce


class Ends(base_executor.BaseExecutor):
    """Does what its property `how` says."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        how, note = exec_properties["how"], exec_properties["note"]
        print(f"this process says {how}", flush=True)
        announce(f"about to {how}")
        if how == "sleep":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(note).write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        elif how == "fail":
            try:
                raise ValueError("the library's words")
            except ValueError as error:
                raise DataError("Column 'fare' is empty. Fill it.") from error
        elif how == "leave":
            os._exit(7)
        elif how in ("SIGSEGV", "SIGKILL"):
            os.kill(os.getpid(), getattr(signal, how))
        exec_properties["answer"] = f"{os.getpid()} {tempfile.gettempdir()}"
