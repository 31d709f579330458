"""`runner_local.py lineage` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_lineage import SECOND, sample, server_sample
from typer.testing import CliRunner, Result

import runner_local
from pipeline.lineage.written_source import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of which only what a run wrote is left."""
    folder = tmp_path / "runs" / "mini"
    (folder / "runs" / SECOND).mkdir(parents=True)
    write(folder, SECOND, [sample(), server_sample(2)])
    return folder


@pytest.fixture
def ask(root: Path) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        return CliRunner().invoke(runner_local.app, ["lineage", "--root", str(root), *map(str, arguments)])

    return call


def test_tree_of_the_newest_server_model_is_the_default_and_a_note_goes_elsewhere(ask, root: Path) -> None:
    result = ask()
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "pushed/saved_model/2 of pipeline mini"
    assert result.stderr == (f"{root}/metadata.db does not exist. This is what was written to runs/{SECOND}/lineage.json.\n")


def test_json_and_events_are_printed_alone(ask) -> None:
    document = json.loads(ask("--json", "--model", "pushed/edge/3").stdout)
    assert document["pushed"]["path"] == "pushed/edge/3"
    assert document["read_from"] == f"runs/{SECOND}/lineage.json"
    events = [json.loads(line) for line in ask("--openlineage", "--model", "pushed/edge/3").stdout.splitlines()]
    assert [event["job"]["name"] for event in events] == [f"mini.{stage.id}" for stage in sample().stages]


@pytest.mark.parametrize("form", ["--json", "--openlineage", ""])
def test_file_holds_what_would_have_been_printed(ask, tmp_path: Path, form: str) -> None:
    options = [form] if form else []
    result = ask(*options, "--output", tmp_path / "told")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "told").read_text() == ask(*options).stdout


def test_file_that_cannot_be_written_is_named(ask, tmp_path: Path) -> None:
    result = ask("--json", "--output", tmp_path / "nowhere" / "told")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"--output {tmp_path}/nowhere/told cannot be written: No such file or directory."


def test_config_names_the_root(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini.yaml").write_text("name: mini\nwhat no pipeline has: any more\n")
    result = CliRunner().invoke(runner_local.app, ["lineage", "--config", "mini.yaml", "--model", "edge/3"])
    assert result.exit_code == 0
    assert result.stdout.startswith("pushed/edge/3 of pipeline mini\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Which root? Give --root, or --config for runs/<pipeline name>."),
        (["--config", "nameless.yaml"], "nameless.yaml: name: required, but not given. Or give --root instead."),
        (["--config", "nowhere.yaml"], "nowhere.yaml does not exist."),
    ],
)
def test_root_that_is_not_named_is_asked_for(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nameless.yaml").write_text("task: tabular\n")
    result = CliRunner().invoke(runner_local.app, ["lineage", *arguments])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", complaint + "\n")


def test_unknown_model_ends_with_exit_code_2(ask) -> None:
    result = ask("--model", "pushed/edge/4")
    assert result.exit_code == 2
    assert result.stderr == "Unknown model 'pushed/edge/4'. Expected one of: pushed/edge/3, pushed/saved_model/2.\n"


def test_two_forms_at_once_are_refused(ask) -> None:
    result = ask("--json", "--openlineage")
    assert result.exit_code == 2
    assert "Give --json or --openlineage, not both." in result.output


PROGRAM = """
import sys
from typer.testing import CliRunner
import runner_local
result = CliRunner().invoke(runner_local.app, ["lineage", *sys.argv[1:]])
heavy = ("tensorflow.", "apache_beam", "tf_keras.", "tensorflow_transform.", "pandas", "pyarrow")
# A module without a spec was not imported: something was put in its place (pipeline/generations.py).
print(result.exit_code, [name for name, module in sys.modules.items() if name.startswith(heavy) and module.__spec__])
"""


def test_lineage_is_told_without_tensorflow(root: Path, repository: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "--root", str(root), "--openlineage"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "0 []\n", done.stderr
