"""The tree that people see."""

from __future__ import annotations

import io

from rich.console import Console
from sample_lineage import SECOND, sample, server_sample

from pipeline.lineage.record import Lineage
from pipeline.lineage.tree import WIDTH, to_tree


def shown(lineage: Lineage) -> list[str]:
    """Return the lines without what draws the branches."""
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, highlight=False).print(to_tree(lineage))
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    return [line.lstrip("│├└─ ").rstrip() for line in lines]


def test_tree_tells_everything_of_an_edge_model_the_most_important_first() -> None:
    assert shown(sample()) == [
        "pushed/edge/3 of pipeline mini",
        "pushed: 2026-01-02 10:00:02Z by run 2026-01-02T10-00-00Z-bbbb; 6 files, 5,000 bytes,",
        "sha256:bbbbbbbbbbbb",
        "edge: smallest: pruning, int8; 4,656 bytes, 50% zeros, 0.9 us",
        "against the float model: auc -0.001",
        "float model: pushed/saved_model/2, trained 2026-01-01 10:00:09Z by run 2026-01-02T10-00-00Z-bbbb",
        "gates: 2 of 3 passed",
        "auc: 0.95, bound >= 0.9",
        "auc (worst slice) in hour:3: none, bound >= 0.9",
        "edge auc loss: 0.001, bound <= 0.005",
        "metrics: 33 rows, 12 slices",
        "candidate: auc 0.9500",
        "baseline: auc 0.9400",
        "simple baseline: auc none",
        "data: csv of span 7; rows: 65 train, 33 eval, 2 quarantined; no sha256",
        "from: /data/span-7/*.csv",
        "a.csv: 60 rows, 1,200 bytes, sha256:aaaaaaaaaaaa",
        "b.csv: 40 rows, 800 bytes, no sha256",
        "schema: mini.pbtxt; 2 columns, sha256:eeeeeeeeeeee",
        "transform: preprocessing.tabular; features: 1 numeric; sha256:ffffffffffff",
        "training: models.tabular; 3 epochs, 65 examples, 1,234 parameters; auto: one device,",
        "/device:CPU:0",
        "label: kind=binary  column=tipped",
        "model: hidden=[32,16]  dropout=0.1",
        "fit: seed=5  epochs=4",
        "parents",
        "pushed/saved_model/1, trained 2026-01-01 10:00:09Z by run 2026-01-01T10-00-00Z-aaaa",
        "run: code sha256:dddddddddddd; config sha256:cccccccccccc; python 3.10.13, tfx 1.16.0,",
        "tensorflow 2.16.2",
        "stages: run that each ran in, and digest of its code",
        "2026-01-01T10-00-00Z-aaaa: ExampleGen aaaaaaaa, Transform aaaaaaaa",
        "2026-01-02T10-00-00Z-bbbb: Trainer aaaaaaaa, Evaluator aaaaaaaa, ModelGate aaaaaaaa,",
        "EdgePusher aaaaaaaa",
    ]


def test_what_is_gone_or_never_was_is_said() -> None:
    plain = server_sample(1, run={}, parents=[])
    gone = plain.model_copy(update={"pushed": plain.pushed.model_copy(update={"sha256": None, "again": ("later",)})})
    lines = shown(gone)
    assert lines[1] == f"pushed: 2026-01-02 10:00:02Z by run {SECOND}; it is gone"
    assert lines[2] == "pushed again: with the same bytes by run later"
    assert "parents: none: it was compared with no earlier model" in lines
    assert "run: its summary is gone" in lines
    assert not any(line.startswith(("edge", "float model")) for line in lines)


def test_many_files_and_a_long_path_are_cut_short() -> None:
    data = sample().data
    files = tuple(data.files[0].model_copy(update={"path": f"/data/{i}.csv"}) for i in range(9))
    folder = "/a-root/of-the-data/" + "long/" * 40 + "data"
    lines = shown(sample(data=data.model_copy(update={"files": files, "base": folder, "pattern": "*.csv"}).model_dump()))
    start = lines.index("from: /a-root/of-the-data/...g/long/long/long/long/long/long/long/long/long/data/*.csv")
    names = [line.split(":")[0] for line in lines[start + 1 : start + 7]]
    assert names == ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv", "and 4 more files"]
