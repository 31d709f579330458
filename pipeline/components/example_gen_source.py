"""What local files hold decides whether ExampleGen runs, not where they lie or when they were written.

TFX's driver puts folder, pattern and times of change into the cache key: a file that was touched, or copied elsewhere, would be
read again. Ours leaves a note of where the files are beside the stage's outputs, and names them by their content in the key.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, NamedTuple

from google.protobuf import json_format, struct_pb2
from tfx.components.example_gen import driver
from tfx.orchestration import data_types
from tfx.orchestration.portable import data_types as portable_data_types
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2

from pipeline.errors import DataError
from pipeline.ingest.data_files import FileDigests
from pipeline.ingest.source import list_files

FILES_KEY = "data_files"  # in the custom config: pipeline.ingest.data_files.FileDigests
_BY_CONTENT = "by-content"


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
        if self.seen and self.seen != _look_at(self.base, self.pattern):
            raise DataError(f"The data in {os.path.join(self.base, self.pattern)} changed while it was read. Run again.")


class ContentDriver(driver.FileBasedDriver):
    """Resolves spans as TFX's does, and keys by content."""

    def run(self, execution_info: portable_data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Resolve, and leave the note."""
        self._examples_uri = execution_info.output_dict["examples"][0].uri
        return super().run(execution_info)

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: data_types.PipelineInfo, component_info: data_types.ComponentInfo
    ) -> dict[str, Any]:
        """Return the properties of the span that is read, without places and times."""
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        config = json_format.Parse(resolved["input_config"], example_gen_pb2.Input())
        known = custom_config(resolved)[FILES_KEY]
        source = Source(resolved["input_base"], config.splits[0].pattern)
        source = source._replace(seen=_look_at(*source[:2]))
        if [size for size, _, _ in source.seen.values()] != [size for size, _ in FileDigests.from_json(known).known]:
            raise DataError(f"The data in {os.path.join(*source[:2])} changed while the run began. Run again.")
        digest = hashlib.sha256(known.encode()).hexdigest()
        note = _note(self._examples_uri, digest)
        os.makedirs(os.path.dirname(note), exist_ok=True)
        with open(note, "w", encoding="utf-8") as file:
            json.dump(source._asdict(), file)
        config.splits[0].pattern = digest
        return resolved | {
            "input_base": _BY_CONTENT,
            "input_config": json_format.MessageToJson(config, sort_keys=True),
            "input_fingerprint": f"content:{digest}",
        }


def source_of(exec_properties: dict[str, Any], examples_uri: str) -> Source:
    """Return which files an ExampleGen is to read, for its executor.

    Args:
      exec_properties: after the driver.
      examples_uri: where the examples go.
    """
    config = json_format.Parse(exec_properties["input_config"], example_gen_pb2.Input())
    # The driver has put the span into the pattern.
    source = Source(exec_properties["input_base"], config.splits[0].pattern)
    if source.base != _BY_CONTENT:
        return source
    with open(_note(examples_uri, source.pattern), encoding="utf-8") as file:
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


def _look_at(base: str, pattern: str) -> dict[str, list[int]]:
    found = {path: os.stat(path) for path in list_files(base, pattern)}
    return {path: [status.st_size, status.st_mtime_ns, status.st_ino] for path, status in found.items()}


def _note(examples_uri: str, digest: str) -> str:
    stage = os.path.dirname(os.path.dirname(examples_uri.rstrip("/")))
    return os.path.join(stage, ".system", "sources", f"{digest}.json")
