"""ColumnarExampleGen: TFX's file-based ExampleGen (driver, spans, fingerprint) with a columnar executor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.utils import io_utils

from pipeline.artifacts import ingest_report_path
from pipeline.components.example_gen_driver import ContentDriver
from pipeline.components.example_gen_executor import SETTINGS_KEY
from pipeline.components.example_gen_source import FILES_KEY
from pipeline.components.executors import BeamExecutorByPath
from pipeline.data_config import SIDES, Side
from pipeline.ingest.data_files import FileDigests
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.spans import resolve_span
from pipeline.remote import is_remote


class ColumnarExampleGen(FileBasedExampleGen):
    """ExampleGen for CSV, Parquet and TFRecord files."""

    EXECUTOR_SPEC = BeamExecutorByPath("pipeline.components.example_gen_executor.Executor")

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


class LocalExampleGen(ColumnarExampleGen):
    """The same for local files: what they hold decides whether it runs, whatever their names and times."""

    DRIVER_CLASS = ContentDriver


def file_based(base: str, pattern: str, settings: IngestSettings, code_digest: str, span: int | None) -> ColumnarExampleGen:
    """Return the ExampleGen for files, local or remote: see `ColumnarExampleGen`."""
    digests = {"code_digest": code_digest}
    if is_remote(base):
        return ColumnarExampleGen(base, pattern, settings, digests, span)
    digests[FILES_KEY] = FileDigests.of(base, resolve_span(base, pattern, span).pattern).to_json()
    return LocalExampleGen(base, pattern, settings, digests, span)


def output_config(weights: Mapping[Side, int]) -> example_gen_pb2.Output:
    """Name the splits, as every ExampleGen must; where no hash decides, their weights mean nothing."""
    splits = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=weights[name]) for name in SIDES]
    return example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits))


def read_ingest_report(examples_uri: str) -> dict[str, Any]:
    """Return what ExampleGen reported beside its examples; nothing of examples that another ExampleGen made."""
    path = ingest_report_path(examples_uri)
    return json.loads(io_utils.read_string_file(path)) if fileio.exists(path) else {"examples": {}, "num_quarantined": 0}
