"""Times the same training on 1 and 2 logical devices of the CPU, and in 1 and 2 processes.

    python -m benchmarks.distribution [--examples 200000] [--batch-size 1024] [--rounds 3]

Trains the network of configs/taxi.yaml on synthetic examples (benchmarks/training.py). Two kinds of scaling: the same global
batch divided among the replicas (strong), and the same batch for each (weak). Every measurement is a process, or two, of
its own; the first epoch, with the tracing, is not counted. Prints a table in Markdown and writes
benchmarks/results/distribution.json. It takes about five minutes on two cores, which can show what replicas cost, and no gain:
one device uses both cores already.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
EPOCHS = 3  # beside the first
# Name, strategy, processes, logical devices of each.
WAYS = (
    ("1 device, 1 process", "one_device", 1, 1),
    ("2 logical devices, 1 process", "mirrored", 1, 2),
    ("2 processes", "multi_worker", 2, 1),
)


def main() -> None:
    """Run the command, or, in a process that it starts, one training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=200_000, help="in the training split")
    parser.add_argument("--batch-size", type=int, default=1024, help="of one device")
    parser.add_argument("--rounds", type=int, default=3, help="of all ways in turn; the median counts")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(train(**json.loads(options.train))))
        return
    results = measure(options.examples, options.batch_size, options.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "distribution.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(table(results, options.examples))


def measure(num_examples: int, batch_size: int, rounds: int) -> list[dict[str, Any]]:
    """Train all ways in turn, as often as there are rounds."""
    asked = []
    for name, kind, processes, devices in WAYS:
        replicas = processes * devices
        for scaling, per_replica in (("strong", batch_size // replicas), ("weak", batch_size)):
            if replicas > 1 or scaling == "strong":
                job = {"kind": kind, "devices": devices, "batch_size": per_replica, "num_examples": num_examples}
                asked.append((name, scaling if replicas > 1 else "", processes, per_replica * replicas, job))
    rates: list[list[float]] = [[] for _ in asked]
    for _ in range(rounds):
        for position, (_, _, processes, _, job) in enumerate(asked):
            rates[position].append(run(job, processes))
    return [
        {"way": name, "scaling": scaling, "global_batch": batch, "examples_per_second": rate}
        for (name, scaling, _, batch, _), rate in zip(asked, rates, strict=True)
    ]


def run(job: dict[str, Any], processes: int) -> float:
    """Train in so many processes; return the chief's examples a second, of all replicas together."""
    command = [sys.executable, "-m", "benchmarks.distribution", "--train", json.dumps(job)]
    started = [
        subprocess.Popen(
            command, cwd=ROOT, env=os.environ | cluster, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for cluster in clusters(processes)
    ]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{job} in {processes} process(es) failed. Run it by itself: {' '.join(command)}")
    return float(json.loads(outputs[0].splitlines()[-1]))


def clusters(number: int) -> list[dict[str, str]]:
    """Return what is added to the environment of each process."""
    if number == 1:
        return [{}]
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": n}} for n in range(number)]
    return [{"TF_CONFIG": json.dumps(task)} for task in tasks]


def train(kind: str, devices: int, batch_size: int, num_examples: int) -> float:
    """Train; return the examples a second after the first epoch, the evaluations included."""
    import numpy as np
    import tf_keras as keras

    from benchmarks.training import HEAD, SPEC, synthetic
    from models import distribution, in_memory, training
    from models.experiment import Experiment
    from pipeline.config import load_config

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.ends: list[float] = []

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.ends.append(time.monotonic())

    def split(number: int, seed: int) -> in_memory.Split:
        inputs, labels = synthetic(number, seed)
        blocks = [
            in_memory.Block(tuple(names), tuple(inputs[n].shape[1] for n in names), np.hstack([inputs[n] for n in names]))
            for names in ([f.name for f in SPEC.features if bool(f.num_ids) == ids] for ids in (True, False))
        ]
        return in_memory.Split(tuple(blocks), labels)

    config = load_config(ROOT / "configs" / "taxi.yaml")
    changes = {"epochs": EPOCHS + 1, "batch_size": batch_size, "early_stopping_patience": None}
    fit = training.FitConfig(**config.fit.model_dump() | changes)
    strategy, _ = distribution.choose(kind, distribution.Devices(cpu_devices=devices if devices > 1 else None))
    experiment = Experiment("models.tabular", config.model.model_dump(), fit, SPEC.features, HEAD)
    clock = Clock()
    experiment.train(split(num_examples, 1), split(num_examples // 10, 2).dataset(4096), strategy, [clock])
    return num_examples * EPOCHS / (clock.ends[-1] - clock.ends[0])


def table(results: list[dict[str, Any]], num_examples: int) -> str:
    """Return a Markdown table."""
    lines = [
        f"\n{num_examples:,} examples, {os.cpu_count()} cores, medians (and the range)\n",
        "| replicas | scaling | global batch | examples a second | of one device |",
        "|---|---|--:|--:|--:|",
    ]
    one = statistics.median(results[0]["examples_per_second"])
    for result in results:
        rates = result["examples_per_second"]
        median = statistics.median(rates)
        measured = f"{median:,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {median / one:.2f}"
        lines.append(f"| {result['way']} | {result['scaling']} | {result['global_batch']:,} | {measured} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
