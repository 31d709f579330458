"""What ColumnarExampleGen does, apart from the component: it needs no TensorFlow, and runs while others still import it."""

from __future__ import annotations

import contextlib
from typing import Any, BinaryIO

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from pipeline.artifacts import ingest_report_path, quarantine_path
from pipeline.components.example_gen_source import FILES_KEY, custom_config, reveal, source_of
from pipeline.data_config import SIDES
from pipeline.errors import DataError
from pipeline.ingest.data_files import FileDigests, identified, total_digest
from pipeline.ingest.ingesting import ingest
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import list_files
from pipeline.ingest.tfrecords import sharded_writer

SETTINGS_KEY = "settings"  # in the custom config


class Executor(base_executor.BaseExecutor):
    """Reads files in blocks, sets unusable rows aside, writes gzipped TFRecords of tf.Example by split."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Convert the files.

        Raises:
          DataError: no files, files that change meanwhile, too many unusable rows, a label that cannot be learned.
        """
        custom = custom_config(exec_properties)
        settings = IngestSettings.model_validate_json(custom[SETTINGS_KEY])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        source = source_of(exec_properties, examples.uri)
        base, pattern = source.base, source.pattern
        reveal(exec_properties, source)
        files = list_files(base, pattern)
        if not files:
            raise DataError(f"No files match {base}/{pattern}. Check `data.path`.")
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
        source.check()
        known = FileDigests.from_json(custom[FILES_KEY]) if FILES_KEY in custom else FileDigests()
        report.files = identified(report.files, known)
        report.sha256 = total_digest(report.files, base)
        io_utils.write_string_file(ingest_report_path(examples.uri), report.to_json())
        # As tfx.components.util.examples_utils sets them, whose import is TensorFlow's.
        examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        examples.set_string_custom_property("file_format", "tfrecords_gzip")


def _create(path: str) -> BinaryIO:
    return fileio.open(path, "wb")
