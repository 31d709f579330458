"""What a person sees, on a real terminal and elsewhere."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.local import screen as screens
from pipeline.local.screen import Screen

SCRIPT = """
import sys, time
from pathlib import Path
from pipeline.local.output import redirected_output
from pipeline.local.screen import Screen

with redirected_output() as output:
    output.log_to(Path(sys.argv[1]))
    screen = Screen(output.screen)
    screen.begin(["ExampleGen", "Trainer", "Pusher"])
    screen.start_stage("ExampleGen")
    screen.start_stage("Trainer")
    screen.say_doing("Trainer", "epoch 3")
    print("chatter of a library")
    print("a warning of a library", file=sys.stderr)
    time.sleep(0.6)
    screen.end()
    screen.say("that is all")
"""


def test_live_lines_go_to_the_terminal_and_chatter_to_the_log(repository: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(log)], cwd=repository, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
    assert process.wait(timeout=60) == 0, shown
    os.close(terminal)
    assert b"ExampleGen" in shown
    assert b"running" in shown
    assert b"epoch 3" in shown
    assert b"waiting" in shown
    assert b"that is all" in shown
    assert b"library" not in shown
    assert "chatter of a library" in log.read_text()
    assert "a warning of a library" in log.read_text()


def test_what_a_stage_is_doing_is_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(screens.time, "monotonic", lambda: clock[-1])
    screen = Screen(stream)
    screen.start_stage("Compressor")
    for seconds, text in ((100.0, "distill, epoch 1/25"), (104.9, "distill, epoch 2/25"), (105.1, "distill, epoch 3/25")):
        clock.append(seconds)
        screen.say_doing("Compressor", text)
    assert stream.getvalue() == "        Compressor: distill, epoch 1/25\n        Compressor: distill, epoch 3/25\n"


def variant(name: str, **measured: Any) -> dict[str, Any]:
    unmade = {"size_bytes": 0, "gzip_bytes": 0, "metrics": {}, "latency_us": 0.0, "passed": False, "error": None}
    return {"name": name, **unmade, **measured}


def test_every_variant_is_a_row_with_its_numbers_and_the_first_line_of_its_error() -> None:
    made = {"size_bytes": 249536, "gzip_bytes": 61000, "metrics": {"auc": 0.95804}, "latency_us": 13.26, "passed": True}
    variants = [
        variant("float32", **made),
        variant("smallest", **made | {"size_bytes": 4024}),
        variant("raw", **made),
        variant("int8", **made | {"passed": False, "error": "edge auc loss is 0.02, bound <= 0.005"}),
        variant("dynamic", error="ConverterError: no such operator\nand a long story"),
    ]
    edge = {"reference": variants[0], "variants": variants, "chosen": "smallest", "chosen_raw": "raw"}
    summary = {"stages": [], "gates": [], "edge": edge, "metrics": {}, "pushed": {}, "status": "succeeded", "seconds": 1.0}
    stream = io.StringIO()
    Screen(stream).close(summary, Path("root"), Path("run"))
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in stream.getvalue().splitlines() if "│" in line]
    assert {name: (bytes_, gzip, auc, latency, verdict) for name, bytes_, gzip, auc, latency, verdict in lines[-5:]} == {
        "float32": ("249,536", "61,000", "0.9580", "13.3", "passed"),
        "smallest": ("4,024", "61,000", "0.9580", "13.3", "chosen"),
        "raw": ("249,536", "61,000", "0.9580", "13.3", "chosen"),
        "int8": ("249,536", "61,000", "0.9580", "13.3", "edge auc loss is 0.02, bound <= 0.005"),
        "dynamic": ("0", "0", "", "0.0", "ConverterError: no such operator"),
    }
