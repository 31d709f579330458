"""CuratedSchema: the config's schema file as an artifact. Its text is a parameter, so an edited file is no stale cache hit."""

import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Schema
from tfx.utils import io_utils

from pipeline.artifacts import SCHEMA_FILE


@component
def CuratedSchema(schema: OutputArtifact[Schema], text: Parameter[str], source: Parameter[str], code_digest: Parameter[str]):
    """Write the schema where TFX components look for it. `source` is the name of its file, for who asks where it came from."""
    del source, code_digest  # part of the cache key
    io_utils.write_string_file(os.path.join(schema.uri, SCHEMA_FILE), text)
