"""What an evaluator beside a training does: metrics of each checkpoint, while the training goes on elsewhere.

The idea is that of TensorFlow's SidecarEvaluator; it follows this project's own checkpoints, and measures the config's metrics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.io import fileio

from models import datasets
from models.checkpoint_files import Checkpoint, newest
from pipeline.entrypoints.training import EVALUATION_BATCH_SIZE, TrainSettings, evaluate, files_of
from pipeline.progress import announce

if TYPE_CHECKING:
    from pipeline.components.trainer_executor import FnArgs

_PAUSE_SECONDS = 5.0
# Beside those of the training, which TensorBoard shows as runs of one experiment.
_LOGS = "tensorboard/evaluator"


def evaluate_checkpoints(fn_args: FnArgs, pause_seconds: float = _PAUSE_SECONDS) -> dict[int, dict[str, float]]:
    """Evaluate the checkpoints of a training on the eval split until it has left its model.

    Metrics go to the log and, by epoch, to TensorBoard's summaries in the folder of the training's logs.

    Args:
      fn_args: those of the training itself.
      pause_seconds: between two looks for a new checkpoint.

    Returns:
      {epochs that were done: {metric: value}} of every checkpoint that was found in time.
    """
    settings = TrainSettings.model_validate_json(fn_args.custom_config["settings"]).tuned(fn_args.hyperparameters)
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    spec = settings.example_spec(transform)
    examples = datasets.load(files_of(fn_args.train_files), spec)
    head = settings.fitted_head(transform, examples.dataset(EVALUATION_BATCH_SIZE))
    evaluation = datasets.read(files_of(fn_args.eval_files), spec, EVALUATION_BATCH_SIZE)
    model = settings.experiment(spec, head).untrained()
    writer = tf.summary.create_file_writer(f"{fn_args.model_run_dir}/{_LOGS}")
    found: dict[int, dict[str, float]] = {}
    announce("evaluates checkpoints beside the training")
    with writer.as_default():
        for saved in follow(fn_args.checkpoint_dir, lambda: fileio.exists(fn_args.serving_model_dir), pause_seconds):
            model.set_weights(saved.of("weights"))
            measured = evaluate(model.predict_on_batch, evaluation, settings)
            found[saved.epochs] = measured
            for name, value in measured.items():
                tf.summary.scalar(name, value, step=saved.epochs)
            writer.flush()
            within = f" and {saved.steps} steps" if saved.steps else ""
            announce(f"after epoch {saved.epochs}{within}: " + ", ".join(f"{k} {v:.6g}" for k, v in measured.items()))
    return found


def follow(folder: str, is_over: Callable[[], bool], pause_seconds: float) -> Iterator[Checkpoint]:
    """Give each checkpoint that a training writes, the newest where it writes faster than they are taken.

    Args:
      folder: of the training's checkpoints; those of other devices lie beside each other in it.
      is_over: tells whether the training will write no more.
      pause_seconds: between two looks.
    """
    last: tuple[int, int] | None = None
    while True:
        over = is_over()  # asked first: what was written before it was is still found
        saved = newest(folder)
        if saved and (saved.epochs, saved.steps) != last:
            last = saved.epochs, saved.steps
            yield saved
        elif over:
            return
        else:
            time.sleep(pause_seconds)
