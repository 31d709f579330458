"""Free space, looked at before a stage writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from tfx.orchestration.portable import data_types
from tfx.types.artifact import Artifact

from pipeline.errors import PipelineError
from pipeline.ingest.source import list_files
from pipeline.local.causes import FREE_SPACE
from pipeline.local.contents import FILES_PROPERTY, sizes_in
from pipeline.remote import is_remote

# What a stage leaves for each byte that it reads: measured on tables, with a margin. Compressed input grows when it is read.
_BYTES_PER_INPUT_BYTE = {"ExampleGen": 3.0, "Transform": 3.0, "Compressor": 1.0}
# Of every other stage, and at the least.
_FEW_BYTES = 64 * 2**20


class DiskFullError(PipelineError):
    """There is no room for what a stage leaves."""


def check_space(stage_id: str, info: data_types.ExecutionInfo) -> None:
    """See that what a stage will leave has room.

    Args:
      stage_id: as in the pipeline.
      info: its inputs, and where its outputs go.

    Raises:
      DiskFullError: most likely it has not.
    """
    outputs = [artifact.uri for artifacts in info.output_dict.values() for artifact in artifacts]
    if not outputs or is_remote(outputs[0]):
        return
    needed = _FEW_BYTES + int(_BYTES_PER_INPUT_BYTE.get(stage_id, 0.0) * _input_bytes(info))
    folder = _existing(outputs[0])
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"{stage_id} needs about {_in_words(needed)} in {folder}, and {_in_words(free)} is free. {FREE_SPACE}"
        )


def _input_bytes(info: data_types.ExecutionInfo) -> int:
    artifacts = [artifact for artifacts in info.input_dict.values() for artifact in artifacts]
    return sum(map(_artifact_bytes, artifacts)) if artifacts else sum(map(os.path.getsize, _source_files(info)))


def _artifact_bytes(artifact: Artifact) -> int:
    return sum(sizes_in(artifact.get_string_custom_property(FILES_PROPERTY)))


def _source_files(info: data_types.ExecutionInfo) -> Iterable[str]:
    """Return the local files that an ExampleGen is about to read."""
    from pipeline.components.example_gen_source import source_of

    if "input_config" not in info.exec_properties or "examples" not in info.output_dict:
        return []
    source = source_of(info.exec_properties, info.output_dict["examples"][0].uri)
    return [] if is_remote(source.base) else list_files(source.base, source.pattern)


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _in_words(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.0f} MiB"
