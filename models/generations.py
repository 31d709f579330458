"""What the two generations of TFX (docs/adr/0002) want done differently with models. Each says why, and when it can go."""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

_CONFIG = "config.json"


def make_readable(keras_file: str) -> None:
    """Take out of a `.keras` file what only newer readers know, and what means nothing.

    tf_keras 2.21 writes `"optional": false` for every input; tf_keras 2.16, of TFX 1.16, refuses a key that it does not know.
    Goes when nobody reads models with TFX 1.16 any more.

    Args:
      keras_file: local; is replaced if there is such a thing in it.
    """
    with zipfile.ZipFile(keras_file) as archive:
        content = {entry: archive.read(entry) for entry in archive.infolist()}
    config = {entry.filename: entry for entry in content}[_CONFIG]
    plain = json.loads(content[config], object_hook=_without_optional)
    if plain == json.loads(content[config]):
        return
    content[config] = json.dumps(plain).encode()
    with zipfile.ZipFile(f"{keras_file}.plain", "w") as archive:
        for entry, data in content.items():
            archive.writestr(entry, data)
    os.replace(f"{keras_file}.plain", keras_file)


def _without_optional(section: dict[str, Any]) -> dict[str, Any]:
    if section.get("class_name") == "InputLayer" and section["config"].get("optional") is False:
        section["config"].pop("optional")
    return section
