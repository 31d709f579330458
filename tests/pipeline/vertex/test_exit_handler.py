"""The last task of a job: whom it tells what, and what it does when they are not there."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydantic
import pytest
from google.cloud import aiplatform_v1
from vertex_service import LOCATION, task_detail

from pipeline.vertex import notifying
from pipeline.vertex.exit_executor import Executor
from pipeline.vertex.exit_handler import ExitSettings
from pipeline.vertex.notify import Notify
from pipeline.vertex.stand_in.faults import RefusedError
from pipeline.vertex.stand_in.server import StandIn

TOPIC, SECRET = "projects/my-project/topics/ml", "projects/my-project/secrets/chat"
JOB = f"{LOCATION}/pipelineJobs/taxi-1"
EVERYTHING = ("failed", "not_blessed", "interrupted", "succeeded")
State = aiplatform_v1.PipelineTaskDetail.State


class Others:
    """Pub/Sub, Secret Manager and a chat on one address, as far as this project speaks to them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        # {beginning of a path: statuses of the next answers}, 200 after that.
        self.faults: dict[str, list[int]] = {}
        others = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                others.asked.append((self.path, json.loads(body) if body else None))
                faults = next((each for start, each in others.faults.items() if self.path.startswith(start)), [])
                content = json.dumps(others.answer(self.path)).encode()
                self.send_response(faults.pop(0) if faults else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _answer  # noqa: N815  # as http.server names them

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> Any:
        if path.endswith(":access"):
            return {"payload": {"data": base64.b64encode(f"http://{self.host}/chat/very-secret\n".encode()).decode()}}
        return {"messageIds": ["1"]} if path.endswith(":publish") else {}

    def published(self) -> list[tuple[Any, Any]]:
        messages = [body["messages"][0] for path, body in self.asked if path == f"/v1/{TOPIC}:publish"]
        return [(json.loads(base64.b64decode(message["data"])), message["attributes"]) for message in messages]

    def posted(self) -> list[str]:
        return [body["text"] for path, body in self.asked if path == "/chat/very-secret"]


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    others = Others()
    threading.Thread(target=others.server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", others.host)
    monkeypatch.setenv("SECRETMANAGER_ENDPOINT", f"http://{others.host}")
    monkeypatch.setattr(notifying, "_PAUSES_SECONDS", (0.01, 0.01, 0.01, None))
    yield others
    others.server.shutdown()
    others.server.server_close()


def job(stand_in: StandIn, **tasks: tuple[Any, str, dict[str, Any]]) -> Any:
    """Have Vertex AI know of a job that is all but over, with tasks {name: (state, error, outputs)}."""
    details = [task_detail(name, *told) for name, told in tasks.items()]
    # The service makes it for each job.
    run = aiplatform_v1.Context(schema_title="system.PipelineRun")
    stand_in.resources.create(f"{LOCATION}/metadataStores/default", "contexts", run, "taxi-1")
    made = aiplatform_v1.PipelineJob(
        state="PIPELINE_STATE_RUNNING",
        job_detail=aiplatform_v1.PipelineJobDetail(task_details=details, pipeline_run_context=run),
    )
    return stand_in.resources.create(LOCATION, "pipelineJobs", made, "taxi-1")


def end(state: str, notify: Notify | None, experiment: str | None = None, message: str = "") -> None:
    status = {"state": state, "error": {"message": message}, "pipelineJobResourceName": JOB, "pipelineTaskName": "tfx-dag"}
    settings = ExitSettings(pipeline="taxi", location=LOCATION, notify=notify, experiment=experiment)
    Executor().Do({}, {}, {"final_status": json.dumps(status), "settings": settings.model_dump_json()})


def test_failure_is_told_with_stage_error_and_log(stand_in: StandIn, others: Others) -> None:
    job(stand_in, Transform=(State.SUCCEEDED, "", {}), Trainer=(State.FAILED, "out of memory", {}))
    end("FAILED", Notify(topic=TOPIC, webhook_secret=SECRET))
    ((document, attributes),) = others.published()
    assert attributes == {"pipeline": "taxi", "status": "failed"}
    assert (document["status"], document["job"]) == ("failed", JOB)
    assert [(stage["id"], stage["state"], stage["error"]) for stage in document["stages"]] == [
        ("Transform", "ran", None),
        ("Trainer", "failed", "out of memory"),
    ]
    (text,) = others.posted()
    assert text == document["text"]
    assert text.startswith(
        "Pipeline taxi failed.\nStage Trainer failed: out of memory\nLog: https://console.cloud.google.com/logs"
    )
    assert text.endswith("/pipelines/runs/taxi-1?project=my-project")


def test_gate_that_was_not_passed_is_told_although_the_job_succeeded(stand_in: StandIn, others: Others) -> None:
    job(stand_in, ModelGate=(State.SUCCEEDED, "", {"blessing": {"metadata": {"blessed": 0}}}))
    end("SUCCEEDED", Notify(topic=TOPIC))
    ((document, _),) = others.published()
    assert document["status"] == "not_blessed"
    assert "Stage ModelGate has not blessed the model" in document["text"]


@pytest.mark.parametrize(("state", "outcome"), [("SUCCEEDED", "succeeded"), ("CANCELLED", "interrupted")])
def test_other_ends_are_told_to_those_who_ask_for_them(state: str, outcome: str, stand_in: StandIn, others: Others) -> None:
    job(stand_in, ModelGate=(State.SUCCEEDED, "", {"blessing": {"metadata": {"blessed": 1}}}))
    end(state, Notify(topic=TOPIC))
    assert others.asked == []
    end(state, Notify(topic=TOPIC, on=EVERYTHING))
    assert [attributes["status"] for _, attributes in others.published()] == [outcome]


def test_job_that_vertex_does_not_tell_of_is_told_with_the_last_word(stand_in: StandIn, others: Others) -> None:
    end("FAILED", Notify(webhook_secret=SECRET), message="The failed tasks are: [Trainer].")
    (text,) = others.posted()
    assert text.startswith("Pipeline taxi failed.\nThe failed tasks are: [Trainer].\nhttps://console")


def test_what_passes_is_tried_again(stand_in: StandIn, others: Others) -> None:
    job(stand_in, Trainer=(State.FAILED, "out of memory", {}))
    others.faults = {"/v1/projects/my-project/topics": [503, 429]}
    end("FAILED", Notify(topic=TOPIC))
    assert len(others.published()) == 3


def test_one_that_is_not_reached_keeps_nobody_else_from_being_told(
    stand_in: StandIn, others: Others, caplog: pytest.LogCaptureFixture
) -> None:
    job(stand_in, Trainer=(State.FAILED, "out of memory", {}))
    others.faults = {"/v1/projects/my-project/topics": [403]}
    end("FAILED", Notify(topic=TOPIC, webhook_secret=SECRET))
    assert len(others.posted()) == 1
    assert f"Cannot publish to {TOPIC}: HTTP 403. Grant roles/pubsub.publisher on it" in caplog.text


@pytest.mark.parametrize("fault", [404, 0])
def test_address_in_the_secret_is_in_no_log(
    fault: int, stand_in: StandIn, others: Others, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    others.faults = {"/chat": [fault]}
    if not fault:  # nobody is there
        monkeypatch.setattr(
            others, "answer", lambda _: {"payload": {"data": base64.b64encode(b"http://127.0.0.1:9/very-secret").decode()}}
        )
    end("FAILED", Notify(webhook_secret=SECRET))
    assert f"Cannot post to the address in {SECRET}: " in caplog.text
    assert "very-secret" not in caplog.text


def test_rehearsal_tells_nobody(others: Others, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_REHEARSAL", "1")
    with caplog.at_level("INFO"):
        end("FAILED", Notify(topic=TOPIC), experiment="taxi")
    assert others.asked == []
    assert "Pipeline taxi failed." in caplog.text


def test_job_and_its_metrics_become_a_row_of_the_experiment(stand_in: StandIn, tmp_path: Path) -> None:
    (tmp_path / "gates.json").write_text(json.dumps({"metrics": {"candidate": {"auc": 0.95, "recall": None}}}))
    job(stand_in, ModelGate=(State.SUCCEEDED, "", {"report": {"uri": str(tmp_path)}}))
    for _ in range(2):  # a task that is tried again adds nothing
        end("SUCCEEDED", None, experiment="taxi-nightly")
    store = f"{LOCATION}/metadataStores/default"
    experiment = stand_in.resources.get(f"{store}/contexts/taxi-nightly")
    assert (experiment.schema_title, experiment.schema_version) == ("system.Experiment", "0.0.1")
    children = [call.request for call in stand_in.calls if call.name == "AddContextChildren"]
    assert {(request.context, *request.child_contexts) for request in children} == {
        (experiment.name, f"{store}/contexts/taxi-1")
    }
    (metrics,) = stand_in.resources.list(store, "artifacts")
    assert (metrics.schema_title, dict(metrics.metadata)) == ("system.Metrics", {"auc": 0.95})
    added = [call.request for call in stand_in.calls if call.name == "AddContextArtifactsAndExecutions"]
    assert {(request.context, *request.artifacts) for request in added} == {(f"{store}/contexts/taxi-1", metrics.name)}


def test_experiment_that_cannot_be_had_is_logged_and_people_are_told(
    stand_in: StandIn, others: Others, caplog: pytest.LogCaptureFixture
) -> None:
    job(stand_in, Trainer=(State.FAILED, "out of memory", {}))
    stand_in.refuse("GetContext", RefusedError(403, "Permission 'aiplatform.contexts.get' denied."))
    end("FAILED", Notify(topic=TOPIC), experiment="taxi")
    assert "The job is not in experiment taxi: 403" in caplog.text
    assert len(others.published()) == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "nobody would be told"),
        ({"topic": "pipelines"}, "should match pattern"),
        ({"topic": TOPIC, "on": []}, "at least 1 item"),
        ({"topic": TOPIC, "on": ["always"]}, "'failed', 'not_blessed', 'interrupted' or 'succeeded'"),
    ],
)
def test_bad_descriptions(values: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        Notify(**values)
