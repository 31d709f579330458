"""CsvExampleGen: TFX's file-based ExampleGen (driver, spans, fingerprint) with a columnar executor."""

from __future__ import annotations

import contextlib
import json
from typing import Any, BinaryIO

from google.protobuf import json_format, struct_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from pipeline.artifacts import ingest_report_path
from pipeline.errors import DataError
from pipeline.ingest.ingesting import Contract, ingest
from pipeline.ingest.source import list_files
from pipeline.ingest.tfrecords import sharded_writer

CONTRACT_KEY = "contract"
ROWS_PER_SHARD = 200_000


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads CSV in blocks, sets unusable rows aside, writes gzipped TFRecords of tf.Example by split."""

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None):
        # TFX wants a Beam executor here. None of its arguments are needed, and making them packs the project for workers.
        base_executor.BaseExecutor.__init__(self, context)

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:
        """Convert the files.

        Raises:
          DataError: no files, too many unusable rows, a label that cannot be learned.
        """
        input_config = json_format.Parse(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], example_gen_pb2.Input())
        output_config = json_format.Parse(exec_properties[standard_component_specs.OUTPUT_CONFIG_KEY], example_gen_pb2.Output())
        custom = json_format.Parse(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig())
        settings = struct_pb2.Struct()
        custom.custom_config.Unpack(settings)
        base, pattern = exec_properties[standard_component_specs.INPUT_BASE_KEY], input_config.splits[0].pattern
        files = list_files(base, pattern)
        if not files:
            raise DataError(f"No files match {base}/{pattern}. Check `data.path`.")
        weights = {split.name: split.hash_buckets for split in output_config.split_config.splits}

        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        examples.split_names = artifact_utils.encode_split_names(list(weights))
        with contextlib.ExitStack() as stack:
            writers = {}
            for name in weights:
                folder = artifact_utils.get_split_uri([examples], name)
                fileio.makedirs(folder)
                writers[name] = stack.enter_context(sharded_writer(folder, _create, ROWS_PER_SHARD))
            contract = Contract.model_validate_json(settings[CONTRACT_KEY])
            report = ingest(files, contract, weights, writers)
        io_utils.write_string_file(ingest_report_path(examples.uri), report.to_json())
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")


def _create(path: str) -> BinaryIO:
    return fileio.open(path, "wb")


class CsvExampleGen(FileBasedExampleGen):
    """ExampleGen for CSV files."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, base: str, pattern: str, contract: Contract, split_weights: dict[str, int], digests: dict[str, str]):
        """Read all files below `base` that match `pattern`.

        Args:
          base: folder, local or remote.
          pattern: glob below it.
          contract: what the config says of the data.
          split_weights: {split: weight}.
          digests: of the code that does the work and of the data, so that a change in them is no cache hit.
        """
        settings = struct_pb2.Struct()
        settings.update({CONTRACT_KEY: contract.model_dump_json(), **digests})
        custom = example_gen_pb2.CustomConfig()
        custom.custom_config.Pack(settings)
        splits = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=n) for name, n in split_weights.items()]
        super().__init__(
            input_base=base,
            input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern=pattern)]),
            output_config=example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits)),
            custom_config=custom,
        )


def read_ingest_report(examples_uri: str) -> dict[str, Any]:
    """Return what ExampleGen reported beside its examples."""
    return json.loads(io_utils.read_string_file(ingest_report_path(examples_uri)))
