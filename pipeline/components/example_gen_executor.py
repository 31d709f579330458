"""What ColumnarExampleGen does, apart from the component: it needs no TensorFlow, and runs while others still import it."""

from __future__ import annotations

import contextlib
from typing import Any, BinaryIO

from google.protobuf import json_format, struct_pb2
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from pipeline.artifacts import ingest_report_path, quarantine_path
from pipeline.data_config import SIDES
from pipeline.errors import DataError
from pipeline.ingest.data_files import FileDigests, identified, total_digest
from pipeline.ingest.ingesting import ingest
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import list_files
from pipeline.ingest.tfrecords import sharded_writer

# In the custom config.
SETTINGS_KEY, FILES_KEY = "settings", "data_files"


class Executor(base_executor.BaseExecutor):
    """Reads files in blocks, sets unusable rows aside, writes gzipped TFRecords of tf.Example by split."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Convert the files.

        Raises:
          DataError: no files, too many unusable rows, a label that cannot be learned.
        """
        input_config = json_format.Parse(exec_properties["input_config"], example_gen_pb2.Input())
        custom = json_format.Parse(exec_properties["custom_config"], example_gen_pb2.CustomConfig())
        custom.custom_config.Unpack(stored := struct_pb2.Struct())
        settings = IngestSettings.model_validate_json(stored[SETTINGS_KEY])
        # The driver has put the span into the pattern.
        base, pattern = exec_properties["input_base"], input_config.splits[0].pattern
        files = list_files(base, pattern)
        if not files:
            raise DataError(f"No files match {base}/{pattern}. Check `data.path`.")

        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.split_names = artifact_utils.encode_split_names(list(SIDES))
        fileio.makedirs(examples.uri)
        with contextlib.ExitStack() as stack:
            writers = {}
            for name in SIDES:
                folder = artifact_utils.get_split_uri([examples], name)
                fileio.makedirs(folder)
                writers[name] = stack.enter_context(sharded_writer(folder, _create, settings.rows_per_shard))
            quarantine = stack.enter_context(fileio.open(quarantine_path(examples.uri), "w"))
            report = ingest(files, settings, writers, quarantine)
        known = FileDigests.from_json(stored[FILES_KEY]) if FILES_KEY in stored else FileDigests({})
        report.files = identified(report.files, base, known)
        report.sha256 = total_digest(report.files, base)
        io_utils.write_string_file(ingest_report_path(examples.uri), report.to_json())
        # As tfx.components.util.examples_utils sets them, whose import is TensorFlow's.
        examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        examples.set_string_custom_property("file_format", "tfrecords_gzip")


def _create(path: str) -> BinaryIO:
    return fileio.open(path, "wb")
