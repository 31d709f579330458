"""The benchmark of ExampleGen alone runs both executors and tells the ratio of their medians."""

from __future__ import annotations

import re

import pytest

from benchmarks import example_gen


def test_both_executors_are_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["example_gen", "--rows", "15002", "--times", "1"])
    example_gen.main()
    printed = capsys.readouterr().out
    assert "15,002 rows, 1 times in turn" in printed
    ours, tfx = (int(text.replace(",", "")) for text in re.findall(r"([\d,]+) rows a second", printed))
    assert float(re.findall(r"ratio: ([\d.]+)", printed)[0]) == pytest.approx(ours / tfx, rel=0.05)
