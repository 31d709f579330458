"""How hyperparameters are searched for: the section `tuner:` of the config."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from models.heads import Kind
from models.metrics import METRICS
from models.tuning.space import Parameter

# What is known of a model beside the metrics of its label: {name: higher is better}. Known before it is trained: the first two.
COSTS = {"parameters": False, "size_bytes": False, "seconds": False}
KNOWN_BEFOREHAND = ("parameters", "size_bytes")


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Random(_Section):
    """Draws every trial anew."""

    kind: Literal["random"] = "random"


class Grid(_Section):
    """Takes all combinations in turn; a range without steps is cut into ten."""

    kind: Literal["grid"] = "grid"


class Bayesian(_Section):
    """A Gaussian process over what was seen so far, and its upper confidence bound (Srinivas et al. 2010)."""

    kind: Literal["bayesian"] = "bayesian"
    initial_points: int | None = pydantic.Field(
        None, ge=2, description="Random trials to begin with; default: two more than there are parameters, at most a third."
    )
    exploration: float = pydantic.Field(1.5, gt=0, description="How much uncertainty attracts: beta of the confidence bound.")
    noise: float = pydantic.Field(1e-2, gt=0, description="Variance of the score's noise, relative to that of the scores.")


class Hyperband(_Section):
    """Many short trials, of which the best go on (Li et al. 2018). A trial that goes on does so from its checkpoint."""

    kind: Literal["hyperband"] = "hyperband"
    factor: int = pydantic.Field(3, ge=2, description="One of so many goes on, for so many times as many epochs.")
    iterations: int = pydantic.Field(1, ge=1, description="How often all brackets are gone through.")


Algorithm = Annotated[Random | Grid | Bayesian | Hyperband, pydantic.Field(discriminator="kind")]


class Objective(_Section):
    """What is searched for: the best of one metric, or of a weighted sum, among models that keep to limits."""

    metric: str | None = pydantic.Field(None, description="Of the label's kind; default: the first of them.")
    weights: dict[str, pydantic.PositiveFloat] = pydantic.Field(
        {},
        description="Instead of one metric: {auc: 1, size_bytes: 1.0e-7}. What is better when lower counts negatively. Beside "
        "metrics there are parameters, size_bytes (of the weights) and seconds (of training).",
    )
    limits: dict[str, float] = pydantic.Field(
        {}, description="What a model must keep to: at least, or at most where lower is better: {size_bytes: 200000}."
    )

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> Objective:
        if self.metric and self.weights:
            raise ValueError("metric and weights are both given. Give one: a metric is a sum of one.")
        return self


class Budget(_Section):
    """When a search ends: at whichever comes first."""

    trials: int | None = pydantic.Field(
        20,
        ge=1,
        description="The config's own values, which come first, among them; grid and hyperband: all, unless given.",
    )
    minutes: float | None = pydantic.Field(None, gt=0, description="Trials that run then stop after their epoch.")
    epochs: int | None = pydantic.Field(None, ge=1, description="Of all trials together.")
    failed_trials: int = pydantic.Field(3, ge=0, description="More than so many end the search with an error.")


class MedianStopping(_Section):
    """Stops a trial whose best score so far is below the median of what others had on average by then (Golovin et al. 2017)."""

    kind: Literal["median"] = "median"
    first_epochs: int = pydantic.Field(3, ge=1, description="Of a trial in which it is left alone.")
    first_trials: int = pydantic.Field(4, ge=1, description="None is stopped before so many are through.")


class TunerConfig(_Section):
    """The search for hyperparameters. The Trainer takes what it found; what it found nothing better for stays."""

    algorithm: Algorithm = Bayesian()
    objective: Objective = pydantic.Field(Objective(), description="One metric's name is enough: `objective: auc`.")
    space: dict[str, Parameter] | None = pydantic.Field(
        None,
        min_length=1,
        description="What is searched, by its place in the config: model.dropout; default: the task's own space.",
    )
    budget: Budget = Budget()
    workers: pydantic.PositiveInt | Literal["auto"] = pydantic.Field(
        "auto", description="Trials at a time, each in a process of its own; auto: by GPUs, or by cores and memory."
    )
    early_stopping: MedianStopping | None = pydantic.Field(
        None, validate_default=True, description="Of poor trials; default: by the median, but for hyperband, which has its own."
    )
    seed: int = pydantic.Field(1, ge=1, description="Of the search. With one worker the same seed gives the same trials.")
    reuse: Literal["never", "latest"] = pydantic.Field(
        "never", description="latest: take what the newest finished search found, and search only where there is none."
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _shorthands(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        changed = dict(values)
        if isinstance(changed.get("algorithm"), str):
            changed["algorithm"] = {"kind": changed["algorithm"]}
        if isinstance(changed.get("objective"), str):
            changed["objective"] = {"metric": changed["objective"]}
        algorithm = changed.get("algorithm")
        kind = algorithm.get("kind") if isinstance(algorithm, dict) else getattr(algorithm, "kind", None)
        if "early_stopping" not in changed and kind != "hyperband":
            changed["early_stopping"] = MedianStopping()
        if kind in ("hyperband", "grid"):  # they end by themselves
            budget = changed.get("budget", {})
            changed["budget"] = {"trials": None} | budget if isinstance(budget, dict) else budget
        return changed

    @pydantic.model_validator(mode="after")
    def _stops_once(self) -> TunerConfig:
        if self.early_stopping and self.algorithm.kind == "hyperband":
            raise ValueError("early_stopping: hyperband stops poor trials itself. Leave it out.")
        budget = self.budget
        if self.algorithm.kind in ("random", "bayesian") and not (budget.trials or budget.minutes or budget.epochs):
            raise ValueError("budget: without trials, minutes or epochs the search would never end. Give one of them.")
        return self


def check_objective(objective: Objective, kind: Kind) -> None:
    """Hold an objective to the kind of label.

    Raises:
      ValueError: it names what is not measured.
    """
    known = [*METRICS[kind], *COSTS]
    named = {"metric": [objective.metric] if objective.metric else [], "weights": objective.weights, "limits": objective.limits}
    for key, names in named.items():
        for name in names:
            if name not in known or (key == "metric" and name in COSTS):
                expected = list(METRICS[kind]) if key == "metric" else known
                raise ValueError(
                    f"tuner.objective.{key}: unknown metric '{name}'. Expected one of: {', '.join(expected)} "
                    f"(label kind {kind})."
                )
    if objective.weights and not any(name in METRICS[kind] for name in objective.weights):
        raise ValueError("tuner.objective.weights: only costs. Weigh a metric too, or the smallest model is the best one.")
