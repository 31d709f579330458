"""What local files hold decides whether ExampleGen runs, not where they lie or when they were written.

TFX's driver puts folder, pattern and times of change into the cache key: a file that was touched, or copied elsewhere, would be
read again. Ours leaves a note of where the files are beside the stage's outputs, and names them by their content in the key.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from google.protobuf import json_format
from tfx.components.example_gen import driver
from tfx.orchestration import data_types
from tfx.orchestration.portable import data_types as portable_data_types
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2

from pipeline.components.example_gen_source import BY_CONTENT, FILES_KEY, Source, custom_config, look_at, note_path
from pipeline.errors import DataError
from pipeline.ingest.data_files import FileDigests


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
        source = source._replace(seen=look_at(*source[:2]))
        if [size for size, _, _ in source.seen.values()] != [size for size, _ in FileDigests.from_json(known).known]:
            raise DataError(f"The data in {os.path.join(*source[:2])} changed while the run began. Run again.")
        digest = hashlib.sha256(known.encode()).hexdigest()
        note = note_path(self._examples_uri, digest)
        os.makedirs(os.path.dirname(note), exist_ok=True)
        with open(note, "w", encoding="utf-8") as file:
            json.dump(source._asdict(), file)
        config.splits[0].pattern = digest
        return resolved | {
            "input_base": BY_CONTENT,
            "input_config": json_format.MessageToJson(config, sort_keys=True),
            "input_fingerprint": f"content:{digest}",
        }
