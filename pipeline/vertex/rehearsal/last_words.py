"""Why a command failed, as its log has it."""

from __future__ import annotations

from pipeline.local.stage_processes import ending

_READ_BYTES = 64 * 1024


def cause_of_exit(code: int, log: str, begin: int = 0, executor: str = "") -> str:
    """Return what a command said last, which the console of Vertex AI shows too.

    Args:
      code: that it ended with; negative: the signal that ended it.
      log: path of its output.
      begin: where in the log it begins, in bytes.
      executor: the class that its entry point says has failed.
    """
    if code < 0:
        return ending(-code)
    with open(log, "rb") as file:
        file.seek(0, 2)
        file.seek(max(begin, file.tell() - _READ_BYTES))
        text = file.read().decode("utf-8", "replace").rstrip()
    _, found, cause = text.rpartition(f"\n{executor} failed: ") if executor else ("", "", "")
    if found:
        return cause
    last = text.splitlines()[-1].strip() if text else ""
    return f"exit code {code}: {last}" if last else ending(code << 8)
