"""The pipeline: its configuration, its stages, the graph, and the two runtimes. The only package that imports TFX."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    """Find artifact types as `pipeline.<Class>`, the only spelling Vertex AI can carry.

    Lazily, because they import TFX, which most importers of this package do not need.
    """
    if name in ("GateReport", "EdgeModel", "PushedEdgeModel", "RegisteredModel", "DataApproval"):
        from pipeline import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
