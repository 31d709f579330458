"""A lineage as a tree for people: the most important first, in 100 columns, digests cut short."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from pipeline.lineage.record import Ancestor, EdgeVariant, InputFile, Lineage, Metrics

WIDTH = 100
_MOST_FILES = 5
_NO_NUMBER = "none"


def to_tree(lineage: Lineage) -> Tree:
    """Return the tree."""
    pushed = lineage.pushed
    tree = Tree(Text.assemble((pushed.path, "bold green"), f" of pipeline {lineage.pipeline}"))
    size = (
        f"; {pushed.num_files} files, {pushed.size_bytes:,} bytes, {_sha(pushed.sha256)}" if pushed.sha256 else "; it is gone"
    )
    _add(tree, "pushed", f"{_time(pushed.time)} by run {pushed.run_id}{size}")
    for run in pushed.again:
        _add(tree, "pushed again", f"with the same bytes by run {run}")
    for add in (_add_edge, _add_gates, _add_metrics, _add_data, _add_features, _add_training, _add_parents, _add_code):
        add(tree, lineage)
    return tree


def _add(tree: Tree, title: str, text: str = "") -> Tree:
    return tree.add(Text.assemble((title, "bold"), ": " if text else "", text))


def _add_edge(tree: Tree, lineage: Lineage) -> None:
    if not lineage.edge:
        return
    for variant in lineage.edge.variants:
        branch = _add(tree, "edge" if variant.inputs == "transformed" else "edge, raw inputs", _variant(variant))
        _add(branch, "against the float model", _numbers(variant.delta, signed=True))
    _add(tree, "float model", _ancestor(lineage.edge.float_model))


def _variant(variant: EdgeVariant) -> str:
    """Name the recipe, what it is made of, and what came of it."""
    made = ", ".join(variant.techniques) or "as trained"
    zeros = f", {variant.sparsity:.0%} zeros" if variant.sparsity else ""
    latency = "" if variant.latency_us is None else f", {variant.latency_us:.1f} us"
    return f"{variant.name}: {made}; {variant.size_bytes:,} bytes{zeros}{latency}"


def _add_gates(tree: Tree, lineage: Lineage) -> None:
    passed = sum(gate.passed for gate in lineage.gates)
    branch = _add(tree, "gates", f"{passed} of {len(lineage.gates)} passed")
    for gate in lineage.gates:
        where = f" in {gate.slice}" if gate.slice else ""
        style = "" if gate.passed else "red"
        value = _NO_NUMBER if gate.value is None else f"{gate.value:.6g}"
        branch.add(Text(f"{gate.name}{where}: {value}, bound {gate.bound}", style))


def _add_metrics(tree: Tree, lineage: Lineage) -> None:
    evaluation = lineage.evaluation
    branch = _add(tree, "metrics", f"{lineage.data.examples.get('eval', 0):,} rows, {evaluation.num_slices} slices")
    for who, values in evaluation.metrics.items():
        if values:
            _add(branch, who.replace("_", " "), _numbers(values))


def _add_data(tree: Tree, lineage: Lineage) -> None:
    data = lineage.data
    rows = ", ".join(f"{count:,} {split}" for split, count in data.examples.items())
    span = f" of span {data.span}" if data.span else ""
    branch = _add(tree, "data", f"{data.kind}{span}; rows: {rows}, {data.quarantined:,} quarantined; {_sha(data.sha256)}")
    _add(branch, "from", _shortened(os.path.join(data.base, data.pattern) if data.base else data.pattern))
    for file in data.files[:_MOST_FILES]:
        branch.add(Text(_file(file)))
    if len(data.files) > _MOST_FILES:
        branch.add(Text(f"and {len(data.files) - _MOST_FILES} more files"))


def _file(file: InputFile) -> str:
    size = "size unknown" if file.size_bytes is None else f"{file.size_bytes:,} bytes"
    return f"{os.path.basename(file.path)}: {file.rows:,} rows, {size}, {_sha(file.sha256)}"


def _add_features(tree: Tree, lineage: Lineage) -> None:
    schema, transform = lineage.data_schema, lineage.transform
    _add(tree, "schema", f"{schema.source}; {len(schema.columns)} columns, {_sha(schema.sha256)}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(transform.features.values()).most_common())
    _add(tree, "transform", f"{transform.module}; features: {kinds}; {_sha(transform.sha256)}")


def _add_training(tree: Tree, lineage: Lineage) -> None:
    training = lineage.training
    counts = {"epochs": training.epochs, "examples": training.examples, "parameters": training.parameters}
    known = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count is not None)
    branch = _add(tree, "training", "; ".join(filter(None, [training.module, known, training.strategy])))
    _add(branch, "label", _settings(training.label))
    _add(branch, "model", _settings(training.model))
    _add(branch, "fit", _settings(training.fit))


def _add_parents(tree: Tree, lineage: Lineage) -> None:
    branch = _add(tree, "parents", "" if lineage.parents else "none: it was compared with no earlier model")
    for parent in lineage.parents:
        branch.add(Text(_ancestor(parent)))


def _ancestor(ancestor: Ancestor) -> str:
    return f"{ancestor.model or 'not pushed'}, trained {_time(ancestor.trained)} by run {ancestor.run_id}"


def _add_code(tree: Tree, lineage: Lineage) -> None:
    run = lineage.run
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    digests = [
        f"{what} {_sha(digest)}" for what, digest in (("code", run.code_digest), ("config", run.config_digest)) if digest
    ]
    _add(tree, "run", "; ".join([*digests, versions]) if digests else "its summary is gone")
    branch = _add(tree, "stages", "run that each ran in, and digest of its code")
    for run_id in dict.fromkeys(stage.run_id for stage in lineage.stages):
        names = [f"{s.id} {(s.code_digest or 'none')[:8]}" for s in lineage.stages if s.run_id == run_id]
        _add(branch, run_id, ", ".join(names))


def _numbers(values: Metrics, signed: bool = False) -> str:
    form = "+.2g" if signed else ".4f"
    return "  ".join(f"{name} {_NO_NUMBER if value is None else format(value, form)}" for name, value in sorted(values.items()))


def _settings(values: Mapping[str, Any]) -> str:
    # Without blanks inside, so that no line ends between a name and its value.
    return "  ".join(f"{name}={value}".replace(" ", "") for name, value in values.items() if value is not None)


def _sha(digest: str | None) -> str:
    return f"sha256:{digest.removeprefix('sha256:')[:12]}" if digest else "no sha256"


def _time(iso: str) -> str:
    return iso[:19].replace("T", " ") + "Z"


def _shortened(path: str) -> str:
    """Leave out the middle of a long path: how it begins tells where it is, how it ends tells what it is."""
    most = 80
    return path if len(path) <= most else f"{path[:20]}...{path[-(most - 23) :]}"
