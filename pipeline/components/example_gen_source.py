"""Where the files are that an ExampleGen reads, if its cache key says only what they hold (example_gen_driver.py)."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from google.protobuf import json_format, struct_pb2
from tfx.proto import example_gen_pb2

from pipeline.artifacts import SYSTEM_FOLDER
from pipeline.errors import DataError
from pipeline.ingest.source import list_files

FILES_KEY = "data_files"  # in the custom config: pipeline.ingest.data_files.FileDigests
BY_CONTENT = "by-content"


class Source(NamedTuple):
    """Files: a folder and a pattern below it.

    Attributes:
      base: the folder.
      pattern: of the files.
      seen: {path: [bytes, nanosecond of the last change, inode]} before they are read; empty of remote files.
    """

    base: str
    pattern: str
    seen: dict[str, list[int]] = {}

    def check(self) -> None:
        """Look whether the files still are those that the cache key was made of.

        Raises:
          DataError: they are not.
        """
        if self.seen and self.seen != look_at(self.base, self.pattern):
            raise DataError(f"The data in {os.path.join(self.base, self.pattern)} changed while it was read. Run again.")


def source_of(exec_properties: dict[str, Any], examples_uri: str) -> Source:
    """Return which files an ExampleGen is to read, for its executor.

    Args:
      exec_properties: after the driver.
      examples_uri: where the examples go.
    """
    config = json_format.Parse(exec_properties["input_config"], example_gen_pb2.Input())
    # The driver has put the span into the pattern.
    source = Source(exec_properties["input_base"], config.splits[0].pattern)
    if source.base != BY_CONTENT:
        return source
    with open(note_path(examples_uri, source.pattern), encoding="utf-8") as file:
        return Source(**json.load(file))


def reveal(exec_properties: dict[str, Any], source: Source) -> None:
    """Put back where the files are, for ML Metadata to say it: the cache key is made."""
    config = json_format.Parse(exec_properties["input_config"], example_gen_pb2.Input())
    config.splits[0].pattern = source.pattern
    exec_properties["input_base"] = source.base
    exec_properties["input_config"] = json_format.MessageToJson(config, sort_keys=True)


def custom_config(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Return what an ExampleGen was given beside what TFX knows."""
    custom = json_format.Parse(exec_properties["custom_config"], example_gen_pb2.CustomConfig())
    custom.custom_config.Unpack(stored := struct_pb2.Struct())
    return dict(stored)


def look_at(base: str, pattern: str) -> dict[str, list[int]]:
    """Return what `Source.seen` holds of files as they are."""
    found = {path: os.stat(path) for path in list_files(base, pattern)}
    return {path: [status.st_size, status.st_mtime_ns, status.st_ino] for path, status in found.items()}


def note_path(examples_uri: str, digest: str) -> str:
    """Return the file that says where the files of a digest are, beside the outputs of the stage."""
    stage = os.path.dirname(os.path.dirname(examples_uri.rstrip("/")))
    return os.path.join(stage, SYSTEM_FOLDER, "sources", f"{digest}.json")
