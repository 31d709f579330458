"""TFX's Evaluator as it runs on Beam (`--engine beam`), on either generation of TFX."""

from __future__ import annotations

from typing import Any

from tfx.components.evaluator import executor

from pipeline.generations import complete_tfma


class Executor(executor.Executor):
    """Evaluates with TFMA."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        """Evaluate."""
        complete_tfma()
        super().Do(input_dict, output_dict, exec_properties)
