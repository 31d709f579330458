"""The rows that the model in production was trained on, as their statistics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2 as mlmd
    from tensorflow_metadata.proto.v0 import statistics_pb2

    from pipeline.lineage.provenance import Provenance

_SPLIT, _FILE = "Split-train", "FeatureStats.pb"  # as StatisticsGen leaves them


def read_reference(given: str | None, root: Path) -> tuple[statistics_pb2.DatasetFeatureStatistics, str]:
    """Return the statistics of the training split, and where they are.

    Args:
      given: a file, or a folder of StatisticsGen; local or remote. None: those behind the newest SavedModel pushed in a root.
      root: of runs.

    Raises:
      ConfigError: they are not there, or are none.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    from pipeline.ingest.source import open_file

    place = given.rstrip("/") if given else _behind_newest(root)
    path = place if place.endswith(".pb") else os.path.join(place, _SPLIT, _FILE)
    try:
        with open_file(path) as file:
            found = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())
    except (OSError, DecodeError) as error:
        raise ConfigError(
            f"--reference: {path} cannot be read: {error}. Expected what StatisticsGen leaves: a folder with "
            f"{_SPLIT}/{_FILE}, or that file."
        ) from error
    if not found.datasets or not found.datasets[0].num_examples:
        raise ConfigError(f"--reference: {path} describes no rows.")
    return found.datasets[0], path


def _behind_newest(root: Path) -> str:
    """Return the folder of the statistics that the newest pushed SavedModel's training data had."""
    from pipeline.lineage.errors import StoreError
    from pipeline.lineage.provenance import Provenance, open_store
    from pipeline.lineage.pushes import Pushes
    from pipeline.local.run_folder import METADATA_FILE

    try:
        provenance = Provenance(open_store(root / METADATA_FILE))
    except StoreError as error:
        raise ConfigError(
            f"{error} What the model was trained on is not known. Give the --root of its run, or --reference."
        ) from error
    pushes = Pushes(provenance)
    newest = max((name for name in pushes.names if name.kind == "saved_model"), key=lambda name: name.version, default=None)
    if newest is None:
        raise ConfigError(f"No SavedModel was pushed in {root}, so there is nothing to compare with. Run the pipeline first.")
    examples = _trained_on(provenance, pushes.source(pushes.of(newest)[-1]))
    for execution in reversed(provenance.consumers(examples.id, "StatisticsGen")):
        for artifact in provenance.outputs(execution).get("statistics", ()):
            return str(artifact.uri)
    raise ConfigError(f"No statistics of what {newest} was trained on are known. Give --reference.")


def _trained_on(provenance: Provenance, model: mlmd.Artifact) -> mlmd.Artifact:
    """Return the raw examples that a model came from."""
    trainer = provenance.producer(model.id)
    assert trainer is not None  # it made the model that was pushed
    (graph,) = provenance.inputs(trainer)["transform_graph"]
    transform = provenance.producer(graph.id)
    assert transform is not None
    (examples,) = provenance.inputs(transform)["examples"]
    return examples
