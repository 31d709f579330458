"""What a job needs to run here: a folder for the bucket, other commands where a service is missing."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from small_jobs import LEAVE, job, part

from pipeline.errors import ConfigError
from pipeline.vertex.rehearsal.adapting import adapted, asks_for_service, beam_args_in
from pipeline.vertex.rehearsal.beam_options import DIRECT_ARGS
from pipeline.vertex.rehearsal.bucket import Redirection, bucket_of, buckets_in
from pipeline.vertex.rehearsal.errors import RefusedError
from pipeline.vertex.rehearsal.only_checked import only_checked
from pipeline.vertex.rehearsal.staging import stage

DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=europe-west4",
    "--temp_location=gs://a-bucket/dataflow",
]
TASK = [
    "--executor_class_path",
    "x.Y",
    "--json_serialized_invocation_args",
    "{{$}}",
    "--json_serialized_inputs_spec_args",
    "{}",
]
END = ["--timeout_seconds", "60"]


def with_args(args: list[str], command: str = "pipeline.vertex.task", **container: Any) -> dict[str, Any]:
    raw = job(Trainer=part(LEAVE))
    raw["pipelineSpec"]["deploymentSpec"]["executors"]["Trainer_executor"]["container"] |= {
        "command": ["python", "-m", command],
        "args": args,
        **container,
    }
    return raw


def container_of(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["pipelineSpec"]["deploymentSpec"]["executors"]["Trainer_executor"]["container"]


def test_the_bucket_becomes_a_folder_wherever_it_is_named(tmp_path: Path) -> None:
    redirect = Redirection("gs://a-bucket", tmp_path, None)
    inner = json.dumps({"folder": "gs://a-bucket/x"})
    changed = redirect({"gs://a-bucket": ["gs://a-bucket/y", inner, "gs://a-bucket-2/z", "gs://a-bucket", 3]})
    folder = f"{tmp_path}/bucket"
    assert changed == {"gs://a-bucket": [f"{folder}/y", json.dumps({"folder": f"{folder}/x"}), "gs://a-bucket-2/z", folder, 3]}


def test_packages_of_the_image_are_those_of_this_interpreter(tmp_path: Path) -> None:
    redirect = Redirection("gs://b", tmp_path, "/opt/venv/lib/python3.10/site-packages")
    ours = sysconfig.get_paths()["purelib"]
    assert redirect("/opt/venv/lib/python3.10/site-packages/tfx/data") == f"{ours}/tfx/data"
    assert redirect("/opt/venv/lib/python3.10/site-packages2") == "/opt/venv/lib/python3.10/site-packages2"


def test_root_that_would_break_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has a quote, a backslash or a control character"):
        Redirection("gs://b", tmp_path / 'a"b', None)


def test_other_buckets_are_told_and_left_alone(tmp_path: Path) -> None:
    staged = stage(job(make=part(LEAVE, parameters={"value": "gs://data-bucket/x"})), tmp_path, None)
    assert staged.told == ("gs://data-bucket: not redirected; tasks read there, with your own credentials.",)
    assert buckets_in({"a": ["gs://one/x gs://two"]}) == {"gs://one", "gs://two"}
    assert bucket_of("gs://one/two/three") == "gs://one"


def test_what_would_run_on_dataflow_runs_on_beam_here() -> None:
    raw = with_args([*TASK, *DATAFLOW, *END])
    changed, told = adapted(raw)
    assert container_of(changed)["args"] == [*TASK, *DIRECT_ARGS, *END]
    assert container_of(raw)["args"] == [*TASK, *DATAFLOW, *END]
    assert told == ["Beam stages: on Beam's DirectRunner; Dataflow's options were parsed, not used."]


def test_beams_arguments_of_other_runners_stay_as_they_are() -> None:
    raw = with_args([*TASK, "--runner=DirectRunner", "--direct_running_mode=in_memory", *END])
    changed, told = adapted(raw)
    assert changed == raw
    assert told == []
    assert beam_args_in(container_of(raw)["args"]) == ["--runner=DirectRunner", "--direct_running_mode=in_memory"]
    assert beam_args_in([*TASK, *DATAFLOW, *END, "--tuning_job={}"]) == DATAFLOW
    assert beam_args_in(["anything"]) == []


REQUEST = json.dumps(
    {
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "replicaCount": 1,
                    "machineSpec": {"machineType": "n1-standard-8", "acceleratorType": "T4", "acceleratorCount": 2},
                },
                {"replicaCount": 3, "machineSpec": {"machineType": "n1-standard-4"}},
            ]
        }
    }
)


def test_what_asks_the_service_stays_as_it_is() -> None:
    inner = ["python", "-m", "pipeline.vertex.task", *TASK]
    launched = with_args(["--location", "l", "--request", REQUEST, "--", *inner], "pipeline.vertex.launch")
    search = ["--tuning_location=l", "--tuning_job=" + json.dumps({"trialJobSpec": json.loads(REQUEST)["jobSpec"]})]
    searched = with_args(["--executor_class_path", "pipeline.vertex.vizier_executor.Executor", *search])
    registered = with_args(["--executor_class_path", "pipeline.vertex.registrar_executor.Executor"])
    for raw in (launched, searched, registered):
        assert adapted(raw) == (raw, [])
        assert asks_for_service(raw)
    assert not asks_for_service(with_args([*TASK, *END]))
    assert only_checked(launched)["custom job of Trainer"] == "1 x n1-standard-8 + 2 x T4; 3 x n1-standard-4"
    assert only_checked(searched)["each trial of Trainer"] == "1 x n1-standard-8 + 2 x T4; 3 x n1-standard-4"


def test_what_was_only_checked_is_listed() -> None:
    accelerator = {"type": "NVIDIA_L4", "count": "1"}
    resources = {"cpuLimit": 8.0, "memoryLimit": 32.0, "accelerator": accelerator}
    raw = with_args([*TASK, *DATAFLOW, "--worker_machine_type=e2-standard-4", *END], resources=resources)
    raw |= {"serviceAccount": "me@x", "network": "n", "encryptionSpec": {"kmsKeyName": "k"}}
    assert only_checked(raw) == {
        "machine of Trainer": "8 CPUs, 32 GB, 1 x NVIDIA_L4",
        "Dataflow": "--worker_machine_type=e2-standard-4",
        "image": "i@sha256:0",
        "service account": "me@x",
        "network": "n",
        "encryption key": "k",
    }


def test_dataflows_options_are_parsed_by_beams_own_classes(tmp_path: Path) -> None:
    wrong = ["--runner=DataflowRunner", "--project=p", "--temp_location=/tmp/x", "--max_workers_typo=3"]
    with pytest.raises(RefusedError) as error:
        stage(with_args([*TASK, *wrong, *END]), tmp_path, None)
    assert error.value.mistakes == (
        "Beam knows no option --max_workers_typo=3.",
        "Dataflow needs --region.",
        "--temp_location is /tmp/x; expected gs://BUCKET/FOLDER.",
    )


def test_good_options_of_dataflow_are_taken(tmp_path: Path) -> None:
    raw = with_args([*TASK, *DATAFLOW, "--max_num_workers=4", "--labels=a=b", "--no_use_public_ips", *END])
    assert stage(raw, tmp_path, None).job.pipeline == "small"
