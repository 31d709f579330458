"""ColumnarExampleGen: TFX's file-based ExampleGen (driver, spans, fingerprint) with a columnar executor."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

from google.protobuf import json_format, struct_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from pipeline.artifacts import ingest_report_path, quarantine_path
from pipeline.data_config import SIDES, Side
from pipeline.errors import DataError
from pipeline.ingest.ingesting import ingest
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import list_files
from pipeline.ingest.tfrecords import sharded_writer

SETTINGS_KEY = "settings"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads files in blocks, sets unusable rows aside, writes gzipped TFRecords of tf.Example by split."""

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None):
        # TFX wants a Beam executor here. None of its arguments are needed, and making them packs the project for workers.
        base_executor.BaseExecutor.__init__(self, context)

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Convert the files.

        Raises:
          DataError: no files, too many unusable rows, a label that cannot be learned.
        """
        input_config = json_format.Parse(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], example_gen_pb2.Input())
        custom = json_format.Parse(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig())
        custom.custom_config.Unpack(stored := struct_pb2.Struct())
        settings = IngestSettings.model_validate_json(stored[SETTINGS_KEY])
        # The driver has put the span into the pattern.
        base, pattern = exec_properties[standard_component_specs.INPUT_BASE_KEY], input_config.splits[0].pattern
        files = list_files(base, pattern)
        if not files:
            raise DataError(f"No files match {base}/{pattern}. Check `data.path`.")

        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
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
        io_utils.write_string_file(ingest_report_path(examples.uri), report.to_json())
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")


def _create(path: str) -> BinaryIO:
    return fileio.open(path, "wb")


class ColumnarExampleGen(FileBasedExampleGen):
    """ExampleGen for CSV, Parquet and TFRecord files."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, base: str, pattern: str, settings: IngestSettings, digests: dict[str, str], span: int | None = None):
        """Read all files below `base` that match `pattern`.

        Args:
          base: folder, local or remote.
          pattern: glob below it; may hold {SPAN} and the like, for TFX's driver to fill in.
          settings: what the config says of the data.
          digests: of the code that does the work and of the data, so that a change in them is no cache hit.
          span: which to read; default: the newest.
        """
        stored = struct_pb2.Struct()
        stored.update({SETTINGS_KEY: settings.model_dump_json(), **digests})
        custom = example_gen_pb2.CustomConfig()
        custom.custom_config.Pack(stored)
        one_span = range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
        super().__init__(
            input_base=base,
            input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern=pattern)]),
            output_config=output_config(settings.split if isinstance(settings.split, dict) else {"train": 1, "eval": 1}),
            custom_config=custom,
            range_config=None if span is None else range_config_pb2.RangeConfig(static_range=one_span),
        )


def output_config(weights: Mapping[Side, int]) -> example_gen_pb2.Output:
    """Name the splits, as every ExampleGen must; where no hash decides, their weights mean nothing."""
    splits = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=weights[name]) for name in SIDES]
    return example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits))


def read_ingest_report(examples_uri: str) -> dict[str, Any]:
    """Return what ExampleGen reported beside its examples; nothing of examples that another ExampleGen made."""
    path = ingest_report_path(examples_uri)
    return json.loads(io_utils.read_string_file(path)) if fileio.exists(path) else {"examples": {}, "num_quarantined": 0}
