"""What a run leaves of the lineage of its models, for the day that ML Metadata is gone."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.local.run_folder import METADATA_FILE


def write_lineage(root: Path, summary: Mapping[str, Any]) -> None:
    """Write lineage.json of a run that pushed, or found pushed what it would have. A failure is logged, and costs nothing.

    Args:
      root: of the pipeline; the run's summary.json is there.
      summary: of the run.
    """
    pushed = [path for path in summary["pushed"].values() if path]
    if not pushed:
        return
    try:
        # Not at the top: a run tells of a wrong config without the second they take.
        from pipeline.lineage.provenance import open_store
        from pipeline.lineage.record import ModelName
        from pipeline.lineage.store_source import StoreSource
        from pipeline.lineage.written_source import write

        source = StoreSource(open_store(root / METADATA_FILE), root)
        write(root, summary["run_id"], [source.read(name) for path in pushed if (name := ModelName.parse(path))])
    except Exception:  # whatever it is, the models are pushed
        logging.error("The lineage was not written:\n%s", traceback.format_exc())
