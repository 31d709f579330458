"""The runner of an edge package as a command: the rows it reads, what it says of them, what it needs installed."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from edge_packages import NO_FLOAT

from pipeline.edge_runner import predict


@pytest.fixture
def run(packed_package, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the package's own predict.py: exit code, what it printed, what it complained of."""
    script = shutil.copy(predict.__file__, packed_package)
    spec = importlib.util.spec_from_file_location("predict_of_the_package", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = module.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


ROWS = 'c,a,ignored,b,d\n6,3,x,2,4\n\n0,,"x, y",5,\n'


def test_command_scores_csv_json_lines_and_stdin_alike(run, tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("\ufeff" + ROWS)
    (tmp_path / "rows.jsonl").write_text('{"a": 3, "b": 2, "c": 6, "d": 4, "ignored": "x"}\n\n{"b": 5, "c": 0, "a": null}\n')
    expected = "prediction\n2357.0\n1005001.0\n"
    assert run(tmp_path / "rows.csv")[:2] == (0, expected)
    assert run(tmp_path / "rows.jsonl")[:2] == (0, expected)
    with open(tmp_path / "rows.csv") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run("-", "--limit", 1)[:2] == (0, "prediction\n2357.0\n")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,b,c,D\n1,2,3,4\n", "No column ['d']. Expected {all}, received ['D', 'a', 'b', 'c']. Add it, even if empty."),
        ("a,b,c,d\n1,2,3,4\n1,2,3\n", "{path} line 3 has another number of cells than the header. Quote commas."),
        ("a,b,c,d\n1,2,3,4,5\n", "{path} line 2 has another number of cells than the header. Quote commas."),
        ("a,b,c,d\n1,2,three,4\n", f"Column 'c' holds 'three'. {NO_FLOAT}"),
    ],
)
def test_command_names_what_is_wrong_with_the_rows(run, tmp_path, rows, message):
    path = tmp_path / "rows.csv"
    path.write_text(rows)
    code, _, complaint = run(path)
    assert (code, complaint) == (1, f"predict.py: {message.format(path=path, all=list('abcd'))}\n")


def test_check_finds_missing_and_changed_files(run, packed_package):
    names = ["metadata.json", "model.tflite", "predict.py"]
    digests = [hashlib.sha256((packed_package / name).read_bytes()).hexdigest() for name in names]
    (packed_package / "SHA256SUMS").write_text("".join(f"{d}  {name}\n" for d, name in zip(digests, names, strict=True)))
    assert run("--check") == (0, "3 files are as SHA256SUMS lists them\n", "")
    (packed_package / "model.tflite").write_bytes(b"changed")
    (packed_package / "metadata.json").unlink()
    assert run("--check") == (
        1,
        "",
        "predict.py: Missing or changed: ['metadata.json', 'model.tflite']. Expected what SHA256SUMS lists. "
        "Copy the package again.\n",
    )


def test_runner_imports_nothing_but_numpy_and_the_standard_library():
    """What predict.py imports at its top is all that has to be there; the runtime is looked for when it is needed."""
    nodes = ast.walk(ast.parse(Path(predict.__file__).read_text()))
    imported = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imported if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy"}
