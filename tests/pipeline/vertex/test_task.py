"""What a container of a job runs: the executor that it names, its outputs written down, its failure told in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from vertex_service import PROJECT

from pipeline.vertex.task import leave_out_helpers, main

SCHEMA = {"instanceSchema": "title: pipeline.GateReport\ntype: object\n"}
BLESSING = {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"}
MODEL = "projects/1/locations/europe-west4/metadataStores/default/artifacts/7"
EXECUTORS = """
import time
from tfx.dsl.components.base import base_executor
from pipeline.errors import DataError

class Works(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        report, = outputs["report"]
        report.set_int_custom_property("number", properties["number"])
        report.set_string_custom_property("kind", type(properties["number"]).__name__)

class Blesses(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        blessing, = outputs["blessing"]
        blessing.set_int_custom_property("blessed", 1)
        blessing.set_int_custom_property("current_model_id", inputs["model"][0].id)

class Fails(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise DataError("The data has no rows. Give it some.") from error

class Hangs(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run a task in a process of its own; return what it left as its output, and the process."""
    (tmp_path / "made_up_executors.py").write_text(EXECUTORS)

    def call(executor: str, *flags: str, outputs: dict[str, Any] | None = None, **environment: str) -> tuple[Any, Any]:
        folder = tmp_path / "task"
        kinds = outputs or {"report": SCHEMA}
        written = {
            key: {"artifacts": [{"name": f"{MODEL}{number}", "uri": str(folder / key), "type": kind, "metadata": {}}]}
            for number, (key, kind) in enumerate(kinds.items())
        }
        model = {"name": MODEL, "uri": str(folder / "m"), "type": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
        invocation = {
            "inputs": {"parameterValues": {"number": 3.0}, "artifacts": {"model": {"artifacts": [model]}}},
            "outputs": {"artifacts": written, "outputFile": str(folder / "executor_output.json")},
        }
        spec = {"parameters": {"number": {"parameterType": "NUMBER_INTEGER"}}}
        command = [sys.executable, "-W", "ignore", "-m", "pipeline.vertex.task"]
        command += ["--executor_class_path", f"made_up_executors.{executor}"]
        command += ["--json_serialized_invocation_args", json.dumps(invocation)]
        command += ["--json_serialized_inputs_spec_args", json.dumps(spec), *flags]
        path = {"PYTHONPATH": f"{PROJECT}:{tmp_path}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, env=path | environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        file = folder / "executor_output.json"
        return json.loads(file.read_text()) if file.exists() else None, done

    return call


def test_outputs_are_written_down_and_whole_numbers_stay_whole(run: Any) -> None:
    output, done = run("Works", "--runner=DirectRunner")
    assert done.returncode == 0, done.stderr
    (report,) = output["artifacts"]["report"]["artifacts"]
    assert report["name"] == f"{MODEL}0"
    assert (report["metadata"]["number"], report["metadata"]["kind"]) == (3.0, "int")


def test_blessing_names_its_model_as_vertex_does(run: Any) -> None:
    output, done = run("Blesses", outputs={"blessing": BLESSING})
    assert done.returncode == 0, done.stderr
    (blessing,) = output["artifacts"]["blessing"]["artifacts"]
    assert blessing["metadata"]["current_model_id"] == MODEL


def test_failure_ends_in_a_line_with_the_cause(run: Any) -> None:
    output, done = run("Fails")
    assert done.returncode == 1
    assert output is None
    assert done.stderr.splitlines()[-1] == "made_up_executors.Fails failed: The data has no rows. Give it some."


def test_stage_that_hangs_is_ended_and_says_where_it_was(run: Any) -> None:
    _, done = run("Hangs", "--timeout_seconds", "1")
    assert done.returncode == 1
    assert "in Do" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Ended: it ran for more than ")


def test_job_that_another_tfx_compiled_is_refused_before_anything_is_imported(run: Any) -> None:
    own = f"tfx-{metadata.version('tfx')}"
    output, done = run("Works", "--compiled_by", "tfx-1.4.0")
    assert (output, done.returncode) == (None, 2)
    assert done.stderr.startswith(f"This job was compiled by tfx-1.4.0, and its image has {own}")
    output, done = run("Works", "--compiled_by", own)
    assert done.returncode == 0, done.stderr
    assert output


def test_only_the_chief_writes_down_what_came_out(run: Any) -> None:
    cluster = {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}
    output, done = run("Works", TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))
    assert (done.returncode, output) == (0, None), done.stderr
    output, _ = run("Works", TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}}))
    assert output is not None


def test_reduction_servers_take_no_part_in_the_training() -> None:
    cluster = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1", "d:1"]}
    environment = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})}
    leave_out_helpers(environment)
    assert json.loads(environment["TF_CONFIG"]) == {
        "cluster": {"chief": ["a:1"], "worker": ["b:1"]},
        "task": {"type": "worker", "index": 0},
    }
    alone: dict[str, str] = {}
    leave_out_helpers(alone)
    assert alone == {}


def test_evaluators_take_no_part_in_the_training_either() -> None:
    cluster = {"chief": ["a:1"], "evaluator": ["c:1"]}
    chief = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}})}
    evaluator = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "evaluator", "index": 0}})}
    leave_out_helpers(chief)
    leave_out_helpers(evaluator)
    assert json.loads(chief["TF_CONFIG"])["cluster"] == {"chief": ["a:1"]}
    assert json.loads(evaluator["TF_CONFIG"]) == {"task": {"type": "evaluator", "index": 0}}


def test_missing_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--executor_class_path", "a.B"])
    assert "--json_serialized_invocation_args" in capsys.readouterr().err
