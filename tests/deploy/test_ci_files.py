"""Workflows and build files: valid, pinned, with the least rights, and calling only what the Makefile has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = ("ci.yml", "release.yml", "submit.yml")
BUILDS = ("cloudbuild.yaml", "cloudbuild-submit.yaml")
SECRETS = (
    r"BEGIN [A-Z ]*PRIVATE KEY", r"\bAIza[0-9A-Za-z_-]{35}\b", r"\bya29\.[0-9A-Za-z_-]{20,}", r"\bgh[pousr]_[0-9A-Za-z]{36}\b",
    r'"type":\s*"service_account"', r"credentials_json", r"\bsecrets\.\w",
)  # fmt: skip


def workflow(repository: Path, name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    return yaml.safe_load((repository / ".github/workflows" / name).read_text("utf-8"))


def steps(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in described["jobs"].values() for step in job.get("steps", [])]


def files(repository: Path) -> list[Path]:
    return [
        *(repository / ".github/workflows" / name for name in WORKFLOWS),
        *(repository / "deploy" / name for name in BUILDS),
    ]


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.github-workflows", ".github/workflows/*.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/*.yml"),
        ("vendor.cloudbuild", "deploy/cloudbuild*.yaml"),
    ],
)
def test_files_match_their_published_schema(schema, pattern, repository):
    name = "check-jsonschema"
    validator = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert validator, f"{name} is missing: `make setup` installs it."
    found = sorted(repository.glob(pattern))
    assert found
    done = subprocess.run([validator, "--builtin-schema", schema, *found], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_make_target_that_is_called_exists(repository):
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text("utf-8"), re.M))
    called = set()
    for file in files(repository):
        text = file.read_text("utf-8")
        called |= set(re.findall(r"\bmake (?:-s )?([a-z][a-z-]*)", re.sub(r"#.*|apk add .*", "", text)))
        called |= set(re.findall(r"entrypoint: make\n\s*args: \[([a-z-]+)", text))
    assert {"lint", "test", "compile-check", "rehearse", "image", "push", "submit", "image-tag"} <= called
    assert called <= targets


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_a_commit_and_say_which_version_that_is(name, repository):
    text = (repository / ".github/workflows" / name).read_text("utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_have_the_least_rights(name, repository):
    described = workflow(repository, name)
    assert described["permissions"] in ({}, {"contents": "read"})
    for job in described["jobs"].values():
        signs_in = any("google-github-actions/auth@" in step.get("uses", "") for step in job.get("steps", []))
        rights = job.get("permissions", {})
        assert set(rights) <= {"contents", "id-token"}
        assert rights.get("contents", "read") == "read"
        # A called workflow gets no more than its caller has.
        assert ("id-token" in rights) == (signs_in or "uses" in job)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_that_others_write_becomes_part_of_a_script(name, repository):
    for step in steps(workflow(repository, name)):
        assert "${{" not in step.get("run", ""), "expressions reach a script by `env:` only"
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_releases_queue_up_and_outdated_checks_of_a_change_end(repository):
    assert workflow(repository, "ci.yml")["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert workflow(repository, "release.yml")["concurrency"] == {"group": "release", "cancel-in-progress": False}
    assert workflow(repository, "submit.yml")["jobs"]["submit"]["concurrency"]["cancel-in-progress"] is False


def test_one_digest_goes_from_dev_over_staging_to_prod_and_nothing_is_built_again(repository):
    jobs = workflow(repository, "release.yml")["jobs"]
    assert jobs["image"]["outputs"] == {"image": "${{ steps.push.outputs.image }}"}
    before = {"dev": ["image"], "staging": ["image", "dev"], "prod": ["image", "staging"]}
    for environment, needed in before.items():
        job = jobs[environment]
        assert job["needs"] == needed
        assert job["with"] == {"environment": environment, "image": "${{ needs.image.outputs.image }}"}
        assert job["uses"] == "./.github/workflows/submit.yml"
    submit = workflow(repository, "submit.yml")["jobs"]["submit"]
    assert submit["environment"] == "${{ inputs.environment }}"  # where its reviewers are named
    assert submit["env"]["IMAGE"] == "${{ inputs.image }}"
    assert [step["run"] for step in submit["steps"] if "make submit" in step.get("run", "")][-1] == "make submit WAIT=1"
    builds = [step for name in WORKFLOWS for step in steps(workflow(repository, name)) if "make image" in step.get("run", "")]
    assert len(builds) == 1


def test_no_image_of_a_build_step_is_a_moving_one(repository):
    for name in BUILDS:
        build = yaml.safe_load((repository / "deploy" / name).read_text("utf-8"))
        for step in build["steps"]:
            image = build["substitutions"].get(step["name"].strip("${}"), step["name"])
            # Google keeps its own builders in one place, without versions.
            assert re.search(r":[0-9][\w.-]*$", image) or image.startswith("gcr.io/cloud-builders/"), image


def test_no_file_holds_a_key_or_asks_for_one(repository):
    places = [*files(repository), repository / "Dockerfile", repository / "Makefile", repository / "docs/ci_cd.md"]
    places += [file for folder in ("deploy", "tools", "configs") for file in (repository / folder).rglob("*") if file.is_file()]
    for file in places:
        for secret in SECRETS:
            assert not re.search(secret, file.read_text("utf-8")), f"{file}: {secret}"
