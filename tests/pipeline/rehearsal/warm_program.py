"""A program that a warm process runs as `python -m warm_program ...`: says what it finds, and ends as it is told."""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":
    found = {
        "arguments": sys.argv[1:],
        "folder": os.getcwd(),
        "first_path": sys.path[0],
        "environment": os.environ.get("MINE"),
        "is_warm": "pipeline.local.stage_server" in sys.modules or "tfx.orchestration.data_types_utils" in sys.modules,
        "number": int(os.environ.get("COUNTED", "0")),
    }
    os.environ["COUNTED"] = "1"  # of this process alone
    print(json.dumps(found))
    if "--executor_class_path" in sys.argv:
        print("some.Executor failed: 3 anomalies:\nand a second line", file=sys.stderr)
        sys.exit(1)
    if "crash" in sys.argv:
        os.abort()
    if "words" in sys.argv:
        sys.exit("with these words")
