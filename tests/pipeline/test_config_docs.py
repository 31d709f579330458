"""docs/configuration.md is what the config types say."""

from __future__ import annotations

from pathlib import Path

from pipeline.config_docs import render


def test_configuration_page_is_current(repository: Path) -> None:
    page = (repository / "docs" / "configuration.md").read_text()
    assert page == render(), "Run `python -m pipeline.config_docs > docs/configuration.md`."


def test_configuration_page_names_every_feature_kind_and_gate() -> None:
    page = render()
    for kind in ("numeric", "bucketized", "categorical", "integer_categorical", "cyclical", "crossed"):
        assert f"(`kind: {kind}`)" in page
    for gate in ("BoundGate", "BlessedGate", "SimpleBaselineGate", "WorstSliceGate"):
        assert f"### {gate}" in page
