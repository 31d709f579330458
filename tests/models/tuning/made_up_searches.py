"""Made-up searches of every kind that a report must tell of."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from models.tuning.space import Choice, Float, Int, Space, active
from models.tuning.trials import CONFIG_TRIAL, CONFIRMATION, Learnt, Trial

SPACE: Space = {
    "model.hidden": Choice(values=([256, 128, 64], [128, 64], [64])),
    "model.dropout": Float(min=0.0, max=0.5),
    "model.units": Int(min=16, max=256, scale="log"),
    "fit.optimizer": Choice(values=("adam", "adamw", "sgd")),
    "fit.weight_decay": Float(min=1e-6, max=1e-1, scale="log", when={"fit.optimizer": ["adamw"]}),
    "fit.momentum": Choice(values=(0.0, 0.9, 0.5), when={"fit.optimizer": ["sgd"]}),
    "fit.learning_rate": Float(min=1e-4, max=1e-1, scale="log"),
}
OWN = {
    "model.hidden": [256, 128, 64],
    "model.dropout": 0.3,
    "model.units": 64,
    "fit.optimizer": "adam",
    "fit.learning_rate": 0.02,
}


def drawn(random: np.random.Generator) -> dict[str, Any]:
    """Draw values from SPACE."""
    values = {
        "model.hidden": SPACE["model.hidden"].grid[random.integers(3)],  # type: ignore[index]
        "model.dropout": float(random.uniform(0, 0.5)),
        "model.units": int(2 ** random.uniform(4, 8)),
        "fit.optimizer": ("adam", "adamw", "sgd")[random.integers(3)],
        "fit.weight_decay": float(10 ** random.uniform(-6, -1)),
        "fit.momentum": (0.0, 0.9, 0.5)[random.integers(3)],
        "fit.learning_rate": float(10 ** random.uniform(-4, -1)),
    }
    return active(SPACE, values)


def auc(values: dict[str, Any]) -> float:
    """Return how good values are: best at a learning rate of 0.003, and not with sgd."""
    off = np.log10(values["fit.learning_rate"] / 0.003)
    return float(0.957 - 0.006 * off**2 - 0.004 * (values["fit.optimizer"] == "sgd") - 0.01 * values["model.dropout"] ** 2)


def course(end: float, epochs: int, random: np.random.Generator) -> dict[str, list[float]]:
    """Return a course that comes to an end value."""
    rise = [end - 0.05 * 0.6**n + 0.0005 * float(random.normal()) for n in range(epochs)]
    return {"loss": [1 - x for x in rise], "eval_loss": [1.02 - x for x in rise], "auc": rise}


def trial(identity: str, values: dict[str, Any], random: np.random.Generator, epochs: int = 12, **changes: Any) -> Trial:
    """Return a finished trial."""
    score = auc(values)
    return dataclasses.replace(
        Trial(
            identity,
            values,
            12,
            state="finished",
            score=score,
            metrics={"auc": score, "accuracy": score - 0.05, "log_loss": 1.1 - score, "size_bytes": 240000.0},
            course=course(score, epochs, random),
            epochs=epochs,
            seconds=8.0 + float(random.random()),
        ),
        **changes,
    )


def searched(number: int = 40, **changes: Any) -> Learnt:
    """Return a search of so many trials, some stopped, failed or infeasible, that found something better."""
    random = np.random.default_rng(3)
    trials = [trial(CONFIG_TRIAL, OWN, random, full=True)]
    for n in range(1, number):
        some = trial(f"{n:04}", drawn(random), random)
        if n % 5 == 2:
            some = dataclasses.replace(
                some,
                state="stopped",
                epochs=5,
                course={name: x[:5] for name, x in some.course.items()},
                error="below the median",
            )
        if n % 17 == 3:
            some = Trial(
                some.id, some.values, 12, state="failed", error="Killed by signal 9 (SIGKILL): out of memory?", seconds=3.0
            )
        if n % 19 == 4:
            some = dataclasses.replace(some, state="infeasible", score=None, error="size_bytes 240000 is above 200000")
        trials.append(some)
    best = max((t for t in trials if t.score is not None), key=lambda t: t.score or 0.0)
    improved = best.id != CONFIG_TRIAL
    learnt = Learnt(
        trials=tuple(trials),
        best=best.id,
        improved=improved,
        values=best.values if improved else {},
        objective="auc",
        score_name="auc",
        higher_is_better=True,
        algorithm="bayesian",
        seconds=412.5,
        ended_by="40 trials",
    )
    return dataclasses.replace(learnt, **changes)


def nothing_better() -> Learnt:
    """Return a search whose best trial is the config's own."""
    learnt = searched(12)
    own = dataclasses.replace(learnt.trials[0], score=0.99)
    return dataclasses.replace(learnt, trials=(own, *learnt.trials[1:]), best=CONFIG_TRIAL, improved=False, values={})


def one_trial() -> Learnt:
    """Return a search that tried the config's own values only."""
    return searched(1)


def all_failed(own_too: bool = False) -> Learnt:
    """Return a search in which every trial failed but the config's own, or that one too."""
    learnt = searched(5)
    lost = [Trial(t.id, t.values, 12, state="failed", error="ValueError: no") for t in learnt.trials]
    own = lost[0] if own_too else learnt.trials[0]
    return dataclasses.replace(learnt, trials=(own, *lost[1:]), best=CONFIG_TRIAL, improved=False, values={})


def hyperband() -> Learnt:
    """Return a search in brackets whose best trial was trained in full."""
    random = np.random.default_rng(5)
    trials = [trial(CONFIG_TRIAL, OWN, random, full=True)]
    first = [trial(f"{n:04}", drawn(random), random, 2, last_epoch=2) for n in range(1, 28)]
    second = sorted(first, key=lambda t: -(t.score or 0))[:9]
    second = [trial(f"{n:04}", t.values, random, 6, last_epoch=6, parent=t.id) for n, t in enumerate(second, 28)]
    confirmation = trial(CONFIRMATION, second[0].values, random, full=True)
    return searched(
        1,
        trials=(*trials, *first, *second, confirmation),
        best=CONFIRMATION,
        improved=True,
        values=confirmation.values,
        algorithm="hyperband",
        ended_by="nothing left to try",
    )


def lower_is_better() -> Learnt:
    """Return a search for the lowest error, with a trial that diverged."""
    learnt = searched(20)
    trials = []
    for t in learnt.trials:
        error = 10 * (1 - t.score) if t.score is not None else None
        trials.append(
            dataclasses.replace(
                t,
                score=-error if error is not None else None,
                metrics={"rmse": error} if error is not None else {},
                course={"eval_loss": [x**2 for x in t.course.get("eval_loss", [])], "rmse": t.course.get("eval_loss", [])},
            )
        )
    lost = dataclasses.replace(
        trials[1], id="0099", score=-1e9, metrics={"rmse": 1e9, "mae": float("inf")}, course={"rmse": [1e9, float("nan")]}
    )
    return dataclasses.replace(
        learnt, trials=(*trials, lost), objective="rmse", score_name="rmse", higher_is_better=False, algorithm="random"
    )


def weighted() -> Learnt:
    """Return a search for a weighted sum."""
    learnt = searched(15)
    return dataclasses.replace(learnt, objective="1 * auc - 1e-07 * size_bytes", score_name="score", algorithm="grid")


SEARCHES = {
    "improved": searched,
    "hundred": lambda: searched(100),
    "nothing better": nothing_better,
    "one trial": one_trial,
    "all failed": all_failed,
    "config failed too": lambda: all_failed(own_too=True),
    "hyperband": hyperband,
    "lower is better": lower_is_better,
    "weighted": weighted,
}
