"""What stages are told of the config, in the forms that TFX has for it."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal

import pydantic

from pipeline.code_digest import code_digest
from pipeline.config import PipelineConfig
from pipeline.runtime import Runtime
from pipeline.tasks import TASKS

TRAIN: Literal["train"] = "train"
EVAL: Literal["eval"] = "eval"


def train_settings(config: PipelineConfig, runtime: Runtime) -> dict[str, Any]:
    """Return what everything that trains needs to know."""
    return {
        "model_module": TASKS[config.task].model.__name__,
        "model": config.model.model_dump(mode="json"),
        "features": config.features,
        "label": config.label,
        "fit": config.fit,
        "metrics": config.metrics,
        "strategy": runtime.training_strategy,
        "devices": runtime.devices,
    }


def custom_config(settings: pydantic.BaseModel, *modules: ModuleType) -> dict[str, str]:
    """Return settings as a component of TFX takes them, with the digest of the code that reads them."""
    return {"settings": settings.model_dump_json(), "code_digest": code_digest(*modules)}


def dotted(module: ModuleType, function: Any) -> str:
    """Return the name by which a worker imports a function."""
    return f"{module.__name__}.{function.__name__}"
