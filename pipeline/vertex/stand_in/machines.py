"""Custom jobs and hyperparameter tuning jobs on this machine: each replica of a worker pool is a process, with the environment
that Vertex AI gives it. What machines are asked for is not looked at.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.vertex.stand_in.suggesting import suggest

# Runs a command, given a name for it, with additions to the environment; returns why it failed, "" where it did not.
Run = Callable[[str, Sequence[str], Mapping[str, str]], str]
_ROLES = ("chief", "worker", "ps", "evaluator")  # of the pools, in their order, in TF_CONFIG
_LAST = "evaluator"


class Machines:
    """Does jobs with processes of this machine."""

    def __init__(self, run: Run, seed: int = 0):
        """Do jobs.

        Args:
          run: a command as a process.
          seed: of what is suggested to trials.
        """
        self._run, self._seed = run, seed

    def custom_job(self, job: Any) -> None:
        """Do a CustomJob: wait for all its replicas that have a command.

        Raises:
          RuntimeError: one failed.
        """
        from google.cloud.aiplatform_v1 import JobState

        job.state = JobState.JOB_STATE_RUNNING
        directory = job.job_spec.base_output_directory.output_uri_prefix
        self._replicas(job.display_name, job.job_spec.worker_pool_specs, [], _folders(directory))
        if job.state == JobState.JOB_STATE_RUNNING:  # and not cancelled meanwhile
            job.state = JobState.JOB_STATE_SUCCEEDED

    def tuning_job(self, job: Any) -> None:
        """Do a HyperparameterTuningJob: points at random, trials side by side, the last measurement of each.

        Raises:
          RuntimeError: too many trials failed.
        """
        from google.cloud.aiplatform_v1 import JobState

        job.state = JobState.JOB_STATE_RUNNING
        chance, lock = random.Random(self._seed), threading.Lock()
        points = [suggest(job.study_spec.parameters, chance) for _ in range(job.max_trial_count)]
        with ThreadPoolExecutor(job.parallel_trial_count) as threads:
            done = list(threads.map(lambda numbered: self._trial(job, lock, *numbered), enumerate(points, start=1)))
        if 0 < job.max_failed_trial_count <= done.count(False):
            raise RuntimeError(f"{done.count(False)} trials failed.")
        job.state = JobState.JOB_STATE_SUCCEEDED

    def _trial(self, job: Any, lock: threading.Lock, number: int, point: Mapping[str, Any]) -> bool:
        """Run a trial and add it to its job; return whether it succeeded."""
        from google.cloud.aiplatform_v1 import Measurement, Trial

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "output.metrics")
            environment = {"CLOUD_ML_TRIAL_ID": str(number), "CLOUD_ML_HP_METRIC_FILE": str(file)}
            arguments = [f"--{name}={value}" for name, value in point.items()]
            try:
                self._replicas(f"{job.display_name}-{number}", job.trial_job_spec.worker_pool_specs, arguments, environment)
                succeeded = True
            except RuntimeError:
                succeeded = False
            lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
        trial = Trial(id=str(number), state=Trial.State.SUCCEEDED if succeeded and lines else Trial.State.INFEASIBLE)
        trial.parameters = [Trial.Parameter(parameter_id=name, value=value) for name, value in point.items()]
        measured: dict[str, float] = {}
        for line in lines:
            measured |= {
                metric.metric_id: float(line[metric.metric_id]) for metric in job.study_spec.metrics if metric.metric_id in line
            }
        trial.final_measurement = Measurement(
            metrics=[Measurement.Metric(metric_id=name, value=value) for name, value in measured.items()]
        )
        with lock:
            job.trials = sorted([*job.trials, trial], key=lambda each: int(each.id))
        return succeeded

    def _replicas(self, name: str, pools: Sequence[Any], arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a process for every replica that has a command.

        Raises:
          RuntimeError: one failed.
        """
        cluster = {
            role: _addresses(pool.replica_count) for role, pool in zip(_ROLES, pools, strict=False) if pool.replica_count
        }
        work: list[tuple[str, int, Sequence[str]]] = []
        for role, pool in zip(_ROLES, pools, strict=False):
            if command := list(pool.container_spec.command):
                work += [
                    (role, index, [*command, *pool.container_spec.args, *arguments]) for index in range(pool.replica_count)
                ]

        def run(replica: tuple[str, int, Sequence[str]]) -> str:
            role, index, command = replica
            config = {"cluster": cluster, "task": {"type": role, "index": index}} if len(work) > 1 else {}
            return self._run(
                f"{name}.{role}-{index}", command, {**environment, **({"TF_CONFIG": json.dumps(config)} if config else {})}
            )

        # An evaluator waits for what the others leave; here it begins when they are over, and not at all if they failed.
        for replicas in ([one for one in work if one[0] != _LAST], [one for one in work if one[0] == _LAST]):
            with ThreadPoolExecutor(max(1, len(replicas))) as threads:
                causes = list(threads.map(run, replicas))
            for (role, index, _), cause in zip(replicas, causes, strict=True):
                if cause:
                    raise RuntimeError(f"The replica {role}-{index} failed: {cause}")


def _folders(prefix: str) -> dict[str, str]:
    names = {"AIP_MODEL_DIR": "model", "AIP_CHECKPOINT_DIR": "checkpoints", "AIP_TENSORBOARD_LOG_DIR": "logs"}
    return {variable: f"{prefix}/{name}/" for variable, name in names.items()} if prefix else {}


def _addresses(number: int) -> list[str]:
    """Return free addresses of this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
