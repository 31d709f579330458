from __future__ import annotations

import json
from typing import Any

import pytest
from vizier_messages import Parsed


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    """Return what reads JSON strictly into a message of that name, and writes it as JSON again."""
    from google.cloud.aiplatform_v1 import types
    from google.protobuf import json_format

    def parse(name: str, value: dict[str, Any]) -> dict[str, Any]:
        type_ = getattr(types, name)
        message = json_format.ParseDict(json.loads(json.dumps(value, allow_nan=False)), type_.pb(type_()))
        return json_format.MessageToDict(message)

    return parse
