"""Log lines that Cloud Logging reads field by field."""

from __future__ import annotations

import json
from typing import Any


def log(severity: str, message: str, **fields: Any) -> None:
    """Write one entry.

    Args:
      severity: DEBUG, INFO, NOTICE, WARNING or ERROR. Errors send a mail: deploy/terraform.
      message: a sentence.
      fields: what else to find it by.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    print(json.dumps({"severity": severity, "message": message, **given}, sort_keys=True), flush=True)
