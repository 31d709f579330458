"""What a person sees, on a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys, time
from pathlib import Path
from pipeline.local.output import redirected_output
from pipeline.local.screen import Screen

with redirected_output() as output:
    output.log_to(Path(sys.argv[1]))
    screen = Screen(output.screen)
    screen.begin(["ExampleGen", "Trainer"])
    screen.start_stage("ExampleGen")
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
    assert b"waiting" in shown
    assert b"that is all" in shown
    assert b"library" not in shown
    assert "chatter of a library" in log.read_text()
    assert "a warning of a library" in log.read_text()
