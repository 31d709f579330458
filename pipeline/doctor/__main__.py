"""`python3 -m pipeline.doctor`: the same by any Python from 3.10 on, even one that has none of the packages."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Parse the command line and examine; return the exit code."""
    if sys.version_info < (3, 10):  # noqa: UP036  # whoever has another Python should be told, not shown a SyntaxError
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"Python {found} is too old. Run `make setup`: it finds or downloads Python 3.10; then use .venv/bin/python.")
        return 2
    from pipeline.doctor.diagnosing import diagnose
    from pipeline.doctor.subject import Subject

    parser = argparse.ArgumentParser("pipeline.doctor", description="Check whether this machine can run the pipeline.")
    for name, what in (("config", "an experiment"), ("runtime", "a Vertex runtime file"), ("root", "of runs")):
        parser.add_argument(f"--{name}", type=Path, help=what)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    return diagnose(Subject(asked.config, asked.runtime, asked.root), asked.json)


if __name__ == "__main__":
    sys.exit(main())
