"""Times training as the Trainer does it, from TFRecords, beside plain Keras `fit` on the same arrays in memory.

    python -m benchmarks.training [--examples 10000 100000] [--rounds 3]

Both train the network of configs/taxi.yaml on the same synthetic examples, with the same batch size, the same number of steps
(about 1,000) and an evaluation each epoch, one after the other in one process. The time includes reading and tracing. Prints a
table and writes benchmarks/results/training.json. It takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models import datasets, tabular, training
from models.heads import Head
from pipeline.config import load_config
from preprocessing.features import EncodedFeature

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BATCH_SIZE, EVALUATION_BATCH_SIZE, FEWEST_STEPS = 256, 4096, 1000
# As many as the taxi example has after Transform.
IDS, WIDTHS = (21, 11, 11, 11, 11, 11, 6, 50, 79, 79, 257), (1, 1, 1, 1, 1, 1, 2, 2, 2)
HEAD = Head("binary", 2)
SPEC = datasets.ExampleSpec(
    (
        *(EncodedFeature(f"id_{i}_xf", f"id_{i}", num_ids=number) for i, number in enumerate(IDS)),
        *(EncodedFeature(f"number_{i}_xf", f"number_{i}", width=width) for i, width in enumerate(WIDTHS)),
    ),
    "label_xf",
    tf.int64,
)
Arrays = tuple[dict[str, np.ndarray], np.ndarray]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, nargs="*", default=[10_000, 100_000], help="in the training split")
    parser.add_argument("--rounds", type=int, default=3, help="of both; the median counts")
    options = parser.parse_args()
    results = [compare(number, options.rounds) for number in options.examples]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(table(results))


def compare(num_examples: int, rounds: int) -> dict[str, Any]:
    """Train both ways in turn; return the seconds of every round and what the medians mean."""
    train, evaluation = synthetic(num_examples, seed=1), synthetic(num_examples // 2, seed=2)
    epochs = max(1, round(FEWEST_STEPS * BATCH_SIZE / num_examples))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        files = [write(f"{folder}/{name}.gz", arrays) for name, arrays in (("train", train), ("eval", evaluation))]
        ways: dict[str, Callable[[], None]] = {
            "ours": lambda: ours(*files, epochs),
            "keras": lambda: plain_keras(train, evaluation, epochs),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                keras.backend.clear_session()
                training.make_deterministic(1)
                began = time.monotonic()
                run()
                seconds[way].append(round(time.monotonic() - began, 2))
    rates = {way: num_examples * epochs / statistics.median(taken) for way, taken in seconds.items()}
    return {
        "examples": num_examples,
        "epochs": epochs,
        "steps": epochs * -(-num_examples // BATCH_SIZE),
        "batch_size": BATCH_SIZE,
        "cores": os.cpu_count(),
        "seconds": seconds,
        "examples_per_second": {way: round(rate, 1) for way, rate in rates.items()},
        "ratio": round(rates["ours"] / rates["keras"], 2),
    }


def ours(train_file: str, evaluation_file: str, epochs: int) -> None:
    """Train as the Trainer does."""
    config = load_config(ROOT / "configs" / "taxi.yaml", [f"fit.epochs={epochs}", "fit.early_stopping_patience=null"])
    train = datasets.read([train_file], SPEC, BATCH_SIZE, shuffle_seed=1)
    evaluation = datasets.read([evaluation_file], SPEC, EVALUATION_BATCH_SIZE)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        training.fit(_network(), HEAD.loss, train, evaluation, config.fit, [training.tensorboard(folder)])


def plain_keras(train: Arrays, evaluation: Arrays, epochs: int) -> None:
    """Train as a script of three lines would."""
    fit = load_config(ROOT / "configs" / "taxi.yaml").fit
    model = _network()
    model.compile(keras.optimizers.AdamW(fit.learning_rate, weight_decay=fit.weight_decay), HEAD.loss)
    model.fit(*train, batch_size=BATCH_SIZE, epochs=epochs, validation_data=evaluation, verbose=2)


def _network() -> keras.Model:
    config = load_config(ROOT / "configs" / "taxi.yaml")
    return tabular.build(tabular.Config.model_validate(config.model.model_dump()), SPEC.features, HEAD)


def synthetic(num_examples: int, seed: int) -> Arrays:
    """Return inputs and labels that depend on some of them."""
    random = np.random.default_rng(seed)
    inputs = {
        f.name: random.integers(0, f.num_ids, (num_examples, 1)).astype(np.int32)
        if f.num_ids
        else random.normal(size=(num_examples, f.width)).astype(np.float32)
        for f in SPEC.features
    }
    score = inputs["number_0_xf"] + 0.1 * (inputs["id_0_xf"] - 10) + 0.5 * random.normal(size=(num_examples, 1))
    return inputs, (score > 0).astype(np.int64)


def write(path: str, arrays: Arrays) -> str:
    """Write transformed examples as Transform does; return the path."""
    inputs, labels = arrays
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for row in range(len(labels)):
            example = tf.train.Example()
            for name, x in {**inputs, SPEC.label: labels}.items():
                feature = example.features.feature[name]
                (feature.float_list if x.dtype == np.float32 else feature.int64_list).value.extend(x[row].tolist())
            writer.write(example.SerializeToString())
    return path


def table(results: list[dict[str, Any]]) -> str:
    """Return a Markdown table."""
    lines = [
        f"\nbatches of {BATCH_SIZE}, {os.cpu_count()} cores, examples a second, reading and tracing included\n",
        "| training examples | steps | this pipeline, from TFRecords | Keras `fit`, from arrays | ratio |",
        "|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        rates = result["examples_per_second"]
        sizes = f"{result['examples']:,} | {result['steps']:,}"
        lines.append(f"| {sizes} | {rates['ours']:,.0f} | {rates['keras']:,.0f} | {result['ratio']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
