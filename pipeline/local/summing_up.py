"""A run folder's summary, which is written however the run ends."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.local.causes import cause_of
from pipeline.local.guarding import ignore_interrupts
from pipeline.local.memory import PeakMemory
from pipeline.local.run_folder import release


@contextlib.contextmanager
def summed_up(summary: dict[str, Any], folder: Path, began: float) -> Iterator[None]:
    """Have the summary say how a run ended, how long it took and how much memory it needed at most.

    An interrupt and an error are its end; they are not raised. After it no interrupt is taken any more.

    Args:
      summary: is changed.
      folder: of the run.
      began: when the run did, by `time.monotonic()`.

    Raises:
      ConfigError: nothing ran; the folder is gone.
    """
    memory = PeakMemory()
    try:
        yield
    except KeyboardInterrupt:
        summary["status"] = "interrupted"
    except ConfigError:
        memory.stop()
        shutil.rmtree(folder)
        raise
    except Exception as error:  # outside of any stage: still a summary and a sentence, no traceback
        logging.error("The run failed outside of its stages:\n%s", traceback.format_exc())
        summary |= {"status": "failed", "error": cause_of(error)}
    ignore_interrupts()
    summary["seconds"] = round(time.monotonic() - began, 1)
    summary["peak_rss_mb"] = memory.stop()
    release(folder)
