"""Terraform: written as its formatter would, every name is there, and values for all that is asked for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terraform_files import FOLDERS, MODULE, ROOTS, accounts, bare, references


def run(*command: object, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **how)


# What `terraform init` says where it does not reach the registry; anything else is a mistake in the files.
NO_PROVIDERS = {"Failed to query available provider packages", "Failed to install provider"}
# The other tests hold the files to what a parser sees.
installed = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed.")


@installed
def test_files_are_as_terraform_would_format_them(terraform: Path) -> None:
    formatted = run("terraform", "fmt", "-check", "-recursive", "-diff", terraform)
    assert formatted.returncode == 0, formatted.stdout


@installed
@pytest.mark.parametrize("folder", ROOTS)
def test_files_are_valid(terraform: Path, tmp_path: Path, folder: str) -> None:
    shutil.copytree(terraform.parent, tmp_path / "deploy")
    place = f"-chdir={tmp_path / 'deploy' / 'terraform' / folder}"
    begun = run("terraform", place, "init", "-backend=false", "-no-color")
    errors = re.findall(r"(?m)^Error: (.*)$", begun.stderr)
    if errors and set(errors) <= NO_PROVIDERS:
        pytest.skip("Terraform's providers cannot be downloaded here.")
    assert begun.returncode == 0, begun.stdout + begun.stderr
    done = run("terraform", place, "validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


def is_declared(reference: tuple[str, ...], parsed: Any, folder: str) -> bool:
    """Tell whether a folder has what one of its expressions refers to."""
    blocks, (kind, name, *rest) = parsed[folder], reference
    if kind in ("each", "for", "path"):
        return kind != "each" or name in ("key", "value")
    if kind in ("var", "local"):
        value = blocks["variable" if kind == "var" else "locals"].get(name)
        return value is not None and (not rest or not isinstance(value, dict) or kind == "var" or rest[0] in value)
    if kind == "module":
        return name in blocks["module"] and rest[0] in parsed[MODULE]["output"]
    if kind == "data":
        return f"{name}.{rest[0]}" in blocks["data"]
    return is_instance(f"{kind}.{name}", rest[:1], blocks)


def is_instance(address: str, step: list[str], blocks: Any) -> bool:
    """Tell whether a resource is there, and the instance of it that a first step names; without a step it is all of them."""
    body = blocks["resource"].get(address)
    if body is None or not step:
        return body is not None
    if bare(body.get("for_each", "")) == "local.accounts":
        return step[0] == "[]" or f'{address}["{step[0][1:-1]}"]' in accounts(blocks)
    return step[0].startswith("[") == bool({"for_each", "count"} & set(body))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_reference_is_to_something_that_is_declared(terraform: Path, parsed: Any, folder: str) -> None:
    found = references(terraform / folder)
    assert not [reference for reference in found if not is_declared(reference, parsed, folder)]
    for prefix, kind in (("var", "variable"), ("local", "locals")):
        assert {name for used, name, *_ in found if used == prefix} == set(parsed[folder].get(kind, {})), kind


@pytest.mark.parametrize(
    "mistake",
    [
        ("var", "regoin"),
        ("local", "agents", "vertx"),
        ("module", "github", "pool"),
        ("data", "google_project", "that", "number"),
        ("google_pubsub_topic", "job", "id"),
        ("google_pubsub_topic", "jobs", "[0]", "id"),
        ("google_service_account", "accounts", "[submittr]", "email"),
        ("google_service_account", "accounts", "email"),
        ("each", "name"),
    ],
)
def test_a_reference_to_nothing_is_noticed(mistake: tuple[str, ...], parsed: Any) -> None:
    assert not is_declared(mistake, parsed, "environment")


def test_each_folder_asks_for_the_same_versions(terraform: Path) -> None:
    texts = [(terraform / folder / "versions.tf").read_text("utf-8") for folder in FOLDERS]
    assert len({tuple(re.findall(r'required_version = "(.*)"', text)) for text in texts}) == 1
    providers = {pair for text in texts for pair in re.findall(r'source\s+= "hashicorp/(.*)"\s+version = "(.*)"', text)}
    assert sorted(name for name, _ in providers) == ["archive", "google", "google-beta"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_variables_and_outputs_say_what_they_are(parsed: Any, folder: str) -> None:
    for name, variable in parsed[folder]["variable"].items():
        assert {"type", "description"} <= set(variable), name
    for name, output in parsed[folder]["output"].items():
        assert "description" in output, name


@pytest.mark.parametrize("folder", ROOTS)
def test_modules_are_given_what_they_ask_for(parsed: Any, folder: str) -> None:
    asked = parsed[MODULE]["variable"]
    for name, module in parsed[folder]["module"].items():
        assert module["source"] == "../modules/github_identity"
        given = {key for key in module if not key.startswith("__")} - {"source"}
        assert given == set(asked), name


def examples(terraform: Path) -> list[Path]:
    return sorted(terraform.rglob("*.tfvars.example"))


def test_examples_give_what_is_asked_for(terraform: Path, parsed: Any) -> None:
    assert {file.name.partition(".")[0] for file in examples(terraform)} == {"build", "dev", "staging", "prod"}
    for file in examples(terraform):
        variables = parsed[file.parent.name]["variable"]
        given = set(re.findall(r"(?m)^(\w+)\s*=", file.read_text()))
        assert given <= set(variables), file
        assert {name for name, variable in variables.items() if "default" not in variable} <= given, file
        assert file.with_name(file.name.replace("tfvars", "gcs.tfbackend")).exists()


def test_environments_have_a_project_a_bucket_and_a_state_each(terraform: Path) -> None:
    for key in ("project", "bucket"):
        files = [file for file in examples(terraform) if file.parent.name == "environment"]
        values = [re.findall(rf'(?m)^{key}\s*=\s*"(.+)"', file.read_text()) for file in files]
        assert len({one for (one,) in values}) == 3
    states = [file.read_text() for file in terraform.rglob("*.tfbackend.example")]
    assert len(set(states)) == len(states) == 4


@pytest.mark.parametrize(
    ("environment", "said"), [("", "Expected build, dev, staging or prod"), ("dev", "copy dev.tfvars.example")]
)
def test_make_target_says_what_it_needs(repository: Path, environment: str, said: str, tmp_path: Path) -> None:
    shutil.copytree(repository / "deploy" / "terraform", tmp_path / "deploy" / "terraform")
    shutil.copytree(repository / "tools", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "terraform").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "bin" / "terraform").chmod(0o755)
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = run("bash", "tools/terraform.sh", environment, "plan", cwd=tmp_path, env=path)
    assert done.returncode == 2
    assert said in done.stderr
